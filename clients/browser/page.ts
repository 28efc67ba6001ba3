// What the page offers to the test that drives it.
import { run, type Keys } from "../typescript/src/scenario.js";
import { connect } from "../typescript/src/web.js";

declare global {
  interface Window {
    /** Answers with what went wrong; empty when nothing did. */
    smoke(keys: Keys): Promise<string>;
  }
}

window.smoke = async (keys) => {
  try {
    await run(connect, keys);
    return "";
  } catch (error) {
    return error instanceof Error ? `${error.message}\n${error.stack}` : String(error);
  }
};

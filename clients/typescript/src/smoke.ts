import { connect } from "./node.js";
import { run } from "./scenario.js";

const env = (name: string): string => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
};

await run(connect, {
  server: env("REDFLAG_SERVER"),
  key: env("REDFLAG_API_KEY"),
  readKey: env("REDFLAG_READ_KEY"),
});

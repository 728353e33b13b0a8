// Checks a state machine with AWS's published validator and the reference JSONata: reads {"definition", "evaluations"}
// on standard input, and prints {"problems": [text], "results": [{"value"} or {"undefined"} or {"error"}]}, with one
// result for each evaluation.
const validate = require("asl-validator");
const jsonata = require("jsonata");
const { randomUUID, createHash } = require("node:crypto");

// The functions of Step Functions that the state machine uses.
// https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html#jsonata-functions-provided-by-sfn
function extend(expression) {
  expression.registerFunction("parse", (text) => JSON.parse(text), "<s:x>");
  expression.registerFunction("uuid", () => randomUUID(), "<:s>");
  expression.registerFunction("hash", (text, name) => createHash(name.replace("-", "").toLowerCase()).update(text).digest("hex"), "<ss:s>");
  expression.registerFunction("partition", (list, size) => {
    const parts = [];
    for (let start = 0; start < list.length; start += size) parts.push(list.slice(start, start + size));
    return parts;
  }, "<an:a>");
  return expression;
}

async function evaluate({ expression, states, variables }) {
  try {
    const value = await extend(jsonata(expression)).evaluate(undefined, { ...variables, states });
    return value === undefined ? { undefined: true } : { value };
  } catch (error) {
    return { error: error.code || String(error) };
  }
}

async function main() {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const { definition, evaluations } = JSON.parse(Buffer.concat(chunks));
  const checked = validate(definition, { checkPaths: true, checkArn: true });
  const problems = checked.isValid ? [] : checked.errors.map((each) => `${each["Error code"]}: ${each.Message || JSON.stringify(each)}`);
  const results = [];
  for (const each of evaluations) results.push(await evaluate(each));
  process.stdout.write(JSON.stringify({ problems, results }));
}

main();

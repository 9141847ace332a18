// Evaluates the expressions of Questionnaires over responses with fhirpath.js, as a renderer does: variables of the root,
// then those of each score's item, then its calculated expression, again and again until no value changes.
// Standard input is a JSON array of {key, questionnaire, responses}; standard output an object of key to a list, one for
// each response, of linkId to value. An expression that gives several values, or fails, ends the process.
import fs from 'node:fs';
import fhirpath from 'fhirpath';
import r4 from 'fhirpath/fhir-context/r4/index.js';

const VARIABLE = 'http://hl7.org/fhir/StructureDefinition/variable';
const CALCULATED = 'http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-calculatedExpression';
const MOST_ROUNDS = 20;

function compiled(element, url) {
  return (element.extension ?? [])
    .filter((extension) => extension.url === url)
    .map(({ valueExpression: { name, expression } }) => ({ name, run: fhirpath.compile(expression, r4, { async: false }) }));
}

function scored(questionnaire, rootVariables, scores, response) {
  const values = {};
  const given = response.item ?? [];
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const written = scores
      .filter(({ item }) => values[item.linkId] !== undefined)
      .map(({ item, property }) => ({ linkId: item.linkId, answer: [{ [property]: values[item.linkId] }] }));
    const resource = { ...response, item: [...given, ...written] };
    const common = { resource, questionnaire };
    for (const { name, run } of rootVariables) common[name] = run(resource, common);
    let changed = false;
    for (const { item, variables, calculated } of scores) {
      const known = { ...common };
      for (const { name, run } of variables) known[name] = run(resource, known);
      const found = calculated.run(resource, known);
      if (found.length > 1) throw new Error(`${item.linkId} has ${found.length} values`);
      if (found[0] !== values[item.linkId]) {
        values[item.linkId] = found[0];
        changed = true;
      }
    }
    if (!changed) return values;
  }
  throw new Error('the scores do not come to rest');
}

const results = {};
for (const { key, questionnaire, responses } of JSON.parse(fs.readFileSync(0, 'utf8'))) {
  try {
    const rootVariables = compiled(questionnaire, VARIABLE);
    const scores = questionnaire.item
      .map((item) => ({
        item,
        property: item.type === 'boolean' ? 'valueBoolean' : 'valueDecimal',
        variables: compiled(item, VARIABLE),
        calculated: compiled(item, CALCULATED)[0],
      }))
      .filter(({ calculated }) => calculated !== undefined);
    results[key] = responses.map((response) => scored(questionnaire, rootVariables, scores, response));
  } catch (error) {
    throw new Error(`${key}: ${error.message}`, { cause: error });
  }
}
process.stdout.write(JSON.stringify(results));

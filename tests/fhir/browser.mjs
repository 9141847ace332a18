// Renders Questionnaires with LHC-Forms in Chromium, fills them in by clicks, and reads what the form works out.
// Usage: node browser.mjs <chromium>. Standard input is a JSON array of {key, questionnaire, stages}, a stage being linkId
// to the code to choose; standard output an object of key to a list, one for each stage, of {clicked, hidden, response,
// shown}: which questions were clicked, which of the stage were not there to click, the form's own QuestionnaireResponse,
// and what the fields of its scores show. With PICTURES=<folder> every form is kept as a picture.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const BUILT = path.join(path.dirname(createRequire(import.meta.url).resolve('lforms/package.json')), 'dist', 'lforms');
const SCRIPTS = ['webcomponent/assets/lib/zone.min.js', 'webcomponent/runtime.js', 'webcomponent/polyfills.js',
  'webcomponent/main.js', 'fhir/R4/lformsFHIR.min.js'];
const PAGE = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>form</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="/webcomponent/styles.css"></head><body><div id="form"></div>
${SCRIPTS.map((name) => `<script src="/${name}"></script>`).join('\n')}</body></html>`;
const TYPES = { '.js': 'text/javascript', '.css': 'text/css', '.html': 'text/html', '.png': 'image/png' };
const LONGEST_WAIT = 20_000;

function serve() {
  const server = http.createServer((request, response) => {
    const name = decodeURIComponent(new URL(request.url, 'http://form').pathname);
    if (name === '/') {
      response.setHeader('content-type', 'text/html');
      response.end(PAGE);
      return;
    }
    const file = path.join(BUILT, name);
    if (!file.startsWith(BUILT + path.sep) || !fs.existsSync(file)) {
      response.statusCode = 404;
      response.end();
      return;
    }
    response.setHeader('content-type', TYPES[path.extname(file)] ?? 'application/octet-stream');
    fs.createReadStream(file).pipe(response);
  });
  return new Promise((resolve) => { server.listen(0, '127.0.0.1', () => resolve(server)); });
}

// Runs in the page: until no expression is being worked out and the response stays as it is.
async function atRest(longest) {
  const pause = (time) => new Promise((resolve) => { setTimeout(resolve, time); });
  const read = () => JSON.stringify(LForms.Util.getFormFHIRData('QuestionnaireResponse', 'R4').item ?? []);
  const end = Date.now() + longest;
  let before = null;
  for (let alike = 0; alike < 3;) {
    if (Date.now() > end) throw new Error('the form does not come to rest');
    await pause(30);
    const processor = document.querySelector('wc-lhc-form').lhcFormData?._expressionProcessor;
    if (processor?._currentRunPromise) await processor._currentRunPromise;
    const now = read();
    alike = now === before && !processor?._pendingRun ? alike + 1 : 0;
    before = now;
  }
  return LForms.Util.getFormFHIRData('QuestionnaireResponse', 'R4');
}

async function filled(page, { questionnaire, stages }) {
  await page.evaluate(async (form) => {
    document.getElementById('form').remove();
    const place = document.body.appendChild(document.createElement('div'));
    place.id = 'form';
    await LForms.Util.addFormToPage(form, 'form', { fhirVersion: 'R4' });
  }, questionnaire);
  await page.evaluate(atRest, LONGEST_WAIT);
  const asked = questionnaire.item.filter((item) => item.answerOption);
  const scores = questionnaire.item.filter((item) => item.readOnly).map((item) => item.linkId);
  const results = [];
  for (const stage of stages) {
    const clicked = [];
    const hidden = [];
    for (const item of asked) {
      const code = stage[item.linkId];
      if (code === undefined) continue;
      const index = item.answerOption.findIndex((option) => option.valueCoding.code === String(code));
      const question = page.locator(`lhc-item-question:has(label[id="label-${item.linkId}/1"])`);
      if (await question.count() === 0) {
        hidden.push(item.linkId);
        continue;
      }
      await question.locator('input[type=radio]').nth(index).click();
      clicked.push(item.linkId);
    }
    const response = await page.evaluate(atRest, LONGEST_WAIT);
    const shown = await page.evaluate((links) => Object.fromEntries(links.map(
      (link) => [link, document.getElementById(`${link}/1`)?.value ?? null])), scores);
    results.push({ clicked, hidden, response, shown });
  }
  return results;
}

const server = await serve();
const browser = await chromium.launch({ executablePath: process.argv[2], args: ['--no-sandbox'] });
const faults = [];
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(LONGEST_WAIT);
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => { if (message.type() === 'error') faults.push(message.text()); });
  page.on('request', (request) => {
    // a form is scored from what is in it: nothing may be asked of a server elsewhere
    if (!request.url().startsWith(`http://127.0.0.1:${server.address().port}/`) && !request.url().startsWith('data:')) {
      faults.push(`asks for ${request.url()}`);
    }
  });
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForFunction(() => window.LForms?.Util?.addFormToPage && window.LForms?.FHIR?.R4);
  const results = {};
  for (const job of JSON.parse(fs.readFileSync(0, 'utf8'))) {
    try {
      results[job.key] = await filled(page, job);
    } catch (error) {
      throw new Error(`${job.key}: ${error.message}`, { cause: error });
    }
    if (process.env.PICTURES) {
      await page.screenshot({ path: path.join(process.env.PICTURES, `${job.key.replaceAll('/', '-')}.png`), fullPage: true });
    }
    if (faults.length) throw new Error(`${job.key}: ${faults.join('\n')}`);
  }
  process.stdout.write(JSON.stringify(results));
} finally {
  await browser.close();
  server.close();
}

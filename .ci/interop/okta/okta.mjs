// Okta's own Node client against the sandbox's Okta. Argument: the folder in which the client is installed.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(path.join(path.resolve(process.argv[2]), 'package.json'));
const { Client, DefaultRequestExecutor, OktaApiError } = require('@okta/okta-sdk-nodejs');
const place = JSON.parse(process.env.SANDBOX);

/** A client that counts its answers by status; `retries` is the client's own patience with a 429. */
function client(token, retries = 0) {
  const requestExecutor = new DefaultRequestExecutor({ maxRetries: retries });
  const statuses = [];
  requestExecutor.on('response', (response) => statuses.push(response.status));
  const okta = new Client({ orgUrl: place.okta_url, token, requestExecutor });
  return { okta, statuses };
}

async function all(collection) {
  const items = [];
  await collection.each((item) => { items.push(item); });
  return items;
}

/** What `promise` fails with, which must be the client's own error class. */
async function refusal(promise) {
  const error = await promise.then(() => null, (caught) => caught);
  assert.ok(error instanceof OktaApiError, `an OktaApiError, not ${error}`);
  assert.ok(error.errorId, 'with an errorId');
  return error;
}

const good = place.credentials.okta_token;
const promises = {
  async 'pages through all users, each once'() {
    const { okta, statuses } = client(good);
    const people = await all(await okta.userApi.listUsers({ limit: 50 }));
    const ids = new Set(people.map((person) => person.id));
    assert.ok(people.length >= 250, `${people.length} people`);
    assert.equal(ids.size, people.length, 'nobody twice');
    assert.equal(statuses.length, Math.ceil(people.length / 50), 'pages');
    assert.ok(people.every((person) => person.profile.login && person.status !== 'DEPROVISIONED'));
  },

  async 'finds a person by id and by login, with the manager reference'() {
    const { okta } = client(good);
    const people = await all(await okta.userApi.listUsers({}));
    const plain = (person) => /^[\w.@-]+$/.test(person.profile.login);
    const report = people.find((person) => plain(person) && managerOf(person));
    assert.ok(report, 'somebody has a manager');
    const byId = await okta.userApi.getUser({ userId: report.id });
    const byLogin = await okta.userApi.getUser({ userId: report.profile.login });
    assert.equal(byId.profile.login, report.profile.login);
    assert.equal(byLogin.id, report.id);
    assert.equal(managerOf(byId), managerOf(report));
  },

  async 'searches by a profile attribute, the departed included'() {
    const { okta } = client(good);
    const [first] = await all(await okta.userApi.listUsers({}));
    const found = await all(await okta.userApi.listUsers({ search: `profile.login eq "${first.profile.login}"` }));
    assert.deepEqual(found.map((person) => person.id), [first.id]);
    const gone = await all(await okta.userApi.listUsers({ search: 'status eq "DEPROVISIONED"' }));
    assert.ok(gone.every((person) => person.status === 'DEPROVISIONED'));
    assert.ok(gone.length > 0, 'somebody has left');
  },

  async 'an unknown user is a 404 E0000007'() {
    const error = await refusal(client(good).okta.userApi.getUser({ userId: 'nobody@nowhere.example' }));
    assert.deepEqual([error.status, error.errorCode], [404, 'E0000007']);
    assert.match(error.errorSummary, /Not found/);
  },

  async 'an unknown token is a 401 E0000011'() {
    const error = await refusal(client('00unknownToken').okta.userApi.getUser({ userId: 'me' }));
    assert.deepEqual([error.status, error.errorCode], [401, 'E0000011']);
  },

  async 'an invalid search is a 400 E0000031'() {
    const { okta } = client(good);
    const error = await refusal(okta.userApi.listUsers({ search: 'profile.login eq' }).then(all));
    assert.deepEqual([error.status, error.errorCode], [400, 'E0000031']);
  },

  async 'a throttled client gets a 429 E0000047 with the headers that it waits by'() {
    await order({ service: 'okta', path: '/api/v1/users', when: { next: 1 }, fault: 'throttle' });
    const error = await refusal(client(good).okta.userApi.listUsers({ limit: 1 }).then(all));
    assert.deepEqual([error.status, error.errorCode], [429, 'E0000047']);
    assert.ok(error.headers.get('x-rate-limit-reset') && error.headers.get('date'));
    assert.equal(error.headers.get('x-rate-limit-remaining'), '0');
  },

  async 'a throttled client that is patient gets its page after all'() {
    await order({ service: 'okta', path: '/api/v1/users', when: { next: 1 }, fault: 'throttle' });
    const { okta, statuses } = client(good, 2);
    const people = await (await okta.userApi.listUsers({ limit: 1 })).next();
    assert.ok(people.value.id);
    assert.deepEqual(statuses, [429, 200]);
  },
};

/** The manager reference, in whichever attribute this world has it. */
function managerOf({ profile }) {
  return profile.managerEmail || profile.managerId || profile.manager
    || profile.additionalProperties?.managerEmail || null;
}

/** Orders a fault from the sandbox. */
async function order(fault) {
  const answer = await fetch(`${place.okta_url}/_sandbox/faults`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(fault),
  });
  assert.ok(answer.ok, `the sandbox takes orders: ${answer.status}`);
}

for (const [name, keep] of Object.entries(promises)) {
  const began = Date.now();
  try {
    await keep();
    console.log(`ok ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
  } catch (error) {
    console.log(`FAILED ${name}: ${error.stack || error}`);
    process.exitCode = 1;
  }
}

-- A history as a service leaves it behind after a year of every five minutes: `size` says how many runs there are and when
-- the first began, both set by who runs this. Ten changes, ten moments and two calls a run, a big last run of the managers,
-- everybody's standing decision, a directory, licenses, events, gauges, plans and notices.

create temp table job_of as select 0 as i, 'managers' as job union all select 1, 'licenses' union all select 2, 'keepalive';
create temp table n as
    with recursive n (i) as (select 0 union all select i + 1 from n where i < (select runs * 10 - 1 from size))
    select i from n;
create temp table person as
    select i, printf('00u%017d', i) as id, printf('p%07d@example.com', i) as login, printf('p%07d@contoso.example', i) as upn,
           printf('00000000-0000-4000-8000-%012d', i) as account
      from n where i < (select people from size);
create index temp.person_by_number on person (i);

-- A run of every job in turn, 300 s apart; one in a thousand failed.
insert into run (id, job, kind, trigger, caller, config_fingerprint, started_at, pid, host, ended_at, outcome, reason, message,
                 tally, unresolved)
select printf('r%07d', n.i), job, job, 'schedule', 'schedule', '0123456789ab', first + n.i * 300000, 1, 'host',
       first + n.i * 300000 + 500, case when n.i % 1000 = 0 then 'failed' else 'succeeded' end,
       case when n.i % 1000 = 0 then 'unreachable' end, case when n.i % 1000 = 0 then 'graph.microsoft.com: nobody answered' end,
       case job when 'managers' then '{"accepted":{"change":3,"clear":3,"set":4},"accounts":100000,"calls":{"graph":120,"okta":500},'
                                  || '"confirmed":{"change":3,"clear":3,"set":4},"held":{"change":0,"clear":0,"set":0},'
                                  || '"in_scope":100000,"notes":[],"people":100000,"planned":{"change":3,"clear":3,"set":4},'
                                  || '"reasons":{"agreed":90000,"manager_not_found":6000,"no_account":4000},"with_reference":99000}'
                 else '{"calls":{"graph":2}}' end,
       case job when 'managers' then 10000 end
  from n join job_of on job_of.i = n.i % 3 join size where n.i < runs;

-- Ten writes a run of the managers' and the others' alike, each confirmed, of 100,000 people in turn.
insert into change (run, job, person, login, account, upn, kind, from_label, to_account, to_label, client_request_id,
                    intent_at, answer, answered_at, settled, settled_at)
select printf('r%07d', n.i / 10), 'managers', person.id, person.login, person.account, person.upn, 'set', '',
       printf('00000000-0000-4000-8000-%012d', n.i % 777), printf('p%07d@contoso.example', n.i % 777),
       printf('11111111-0000-4000-8000-%012d', n.i), first + n.i * 30000, 'accepted', first + n.i * 30000 + 100, 'confirmed',
       first + n.i * 30000 + 200
  from n join size join person on person.i = n.i % people;

-- Ten moments a run; at one in a thousand the service was down.
insert into moment (job, planned_at, disposition, run, recorded_at)
select job, first + n.i * 30000, case when n.i % 1000 = 7 then 'down' else 'ran' end,
       case when n.i % 1000 <> 7 then printf('r%07d', n.i / 10) end, first + n.i * 30000 + 500
  from n join size join job_of on job_of.i = n.i % 3;

insert into call (run, at, service, method, path, status, latency_ms, attempts, request_id, client_request_id, verdict)
select printf('r%07d', n.i / 2), first + n.i / 2 * 300000 + n.i % 2, 'graph', 'GET',
       case n.i % 2 when 0 then '/v1.0/subscribedSkus' else '/v1.0/me' end, 200, n.i % 400, 1,
       printf('22222222-0000-4000-8000-%012d', n.i), printf('33333333-0000-4000-8000-%012d', n.i), 'ok'
  from n join size where n.i < runs * 2;

-- A reorganization: one run with ten thousand changes and a thousand calls.
insert into run (id, job, kind, trigger, caller, config_fingerprint, started_at, pid, host, ended_at, outcome, tally, unresolved)
select 'rbig', 'managers', 'managers', 'manual', 'bench', '0123456789ab', first + runs * 300000, 1, 'host',
       first + runs * 300000 + 90000, 'succeeded', tally, 10000
  from size join run on run.id = 'r0000003';
insert into change (run, job, person, login, account, upn, kind, from_label, to_account, to_label, client_request_id,
                    intent_at, answer, answered_at, settled, settled_at)
select 'rbig', 'managers', person.id, person.login, person.account, person.upn, 'set', '',
       printf('00000000-0000-4000-8000-%012d', person.i % 777), printf('p%07d@contoso.example', person.i % 777),
       printf('44444444-0000-4000-8000-%012d', person.i), first + runs * 300000 + person.i, 'accepted',
       first + runs * 300000 + person.i + 100, 'confirmed', first + runs * 300000 + 80000
  from size join person on person.i < 10000;
insert into call (run, at, service, method, path, status, latency_ms, attempts, request_id, client_request_id, verdict)
select 'rbig', first + runs * 300000 + i, 'graph', 'POST', '/v1.0/$batch', 200, i % 400, 1,
       printf('55555555-0000-4000-8000-%012d', i), printf('66666666-0000-4000-8000-%012d', i), 'ok'
  from size join n on n.i < 1000;

-- What stands of everybody, and what stood before of a tenth.
insert into decision (job, person, login, upn, account, reason, digest, evidence, first_run, first_at, last_run, last_at)
select 'managers', id, login, upn, account,
       case when i % 10 = 0 then 'manager_not_found' when i % 25 = 1 then 'no_account' else 'agreed' end, i,
       '{"account_by":"rule","correlate":[{"decided":true,"entra":"userPrincipalName","okta":"login","value":"' || login
       || '"}],"in_scope":true,"manager":[{"attribute":"managerEmail","is":"email"}],"status":"active"}',
       'r0000003', first, null, null
  from size join person
union all
select 'managers', id, login, upn, account, 'no_account', i,
       '{"account_by":"rule","correlate":[],"in_scope":true,"manager":[],"status":"active"}', 'r0000000', first - 1000,
       'r0000003', first
  from size join person on i % 10 = 3;
insert into decision_pass (job, run, at) select 'managers', 'rbig', first + runs * 300000 from size;

-- Thirty products, of each of which something differs every hundredth reading.
insert into license_reading (id, run, at)
select n.i + 1, printf('r%07d', n.i * 3 + 1), first + (n.i * 3 + 1) * 300000 from n join size where n.i < runs / 3;
create temp table product as
    select i, printf('77777777-0000-4000-8000-%012d', i) as sku from n where i < 30;
insert into license_product (sku, part_number, name) select sku, 'SKU_' || i, 'Product ' || i from product;
create temp table spell as
    select product.i as i, sku, n.i * 100 + 1 as since,
           case when n.i * 100 + 101 <= (select max(id) from license_reading) then n.i * 100 + 101 end as until, n.i as place
      from product join size join n on n.i * 100 < runs / 3;
insert into license_snapshot (sku, since, until, status, applies_to, bought, assigned, warning, suspended, locked_out)
select sku, since, until, 'Enabled', 'User', 1000 + i, (place * 37 + i) % 1000, 0, 0, 0 from spell;
insert into license_plans (sku, since, until, plans)
select sku, 1, null, '[{"id":"efb87545-963c-4e0d-99df-69c6916d9eb0","name":"EXCHANGE_S_ENTERPRISE","status":"Success"}]' from product;
insert into subscription_snapshot (id, since, until, sku, status, licenses, trial, created_at, next_lifecycle)
select replace(sku, '77777777', '88888888'), since, until, sku, 'Enabled', 1000 + i, 0, first, first + since * 900000 + 7776000000
  from spell join size;
insert into event (run, job, at, kind, severity, key, subject, title, lines)
select printf('r%07d', since * 3 - 2), 'licenses', first + since * 900000, 'counts_changed', 'info', 'counts:' || sku, sku,
       'Product ' || i || ': assigned differs', '["it was another number before"]'
  from spell join size;
insert into gauge (run, job, at, part_number, read_as, state, days_left, subscription, status, ends_at, gone, known_end, calls_since)
select printf('r%07d', n.i * 3 + 2), 'keepalive', first + (n.i * 3 + 2) * 300000, 'DEVELOPERPACK_E5', 'app', 'active', 61,
       '88888888-0000-4000-8000-000000000000', 'Enabled', first + n.i * 900000 + 5270400000, 0,
       first + n.i * 900000 + 5270400000, n.i
  from n join size where n.i < runs / 3;

-- An import every two days, with everybody in it and ten who differ each time.
insert into run (id, job, kind, trigger, caller, config_fingerprint, started_at, pid, host, ended_at, outcome, tally)
select printf('i%07d', n.i), 'import', 'directory', 'schedule', 'schedule', '0123456789ab', first + n.i * 172800000, 1, 'host',
       first + n.i * 172800000 + 60000, 'succeeded',
       '{"people":100000,"accounts":95000,"kinds":{"matched":{"entries":95000,"guests":0,"disabled":0},'
    || '"unmatched_in_okta":{"entries":5000,"guests":0,"disabled":0}},"unlisted":0,"differences":{}}'
  from n join size where n.i < runs / 576;
insert into directory_import (id, run, job, at)
select n.i + 1, printf('i%07d', n.i), 'import', first + n.i * 172800000 from n join size where n.i < runs / 576;
insert into directory_entry (job, kind, person, login, status, account, upn, guest, disabled, digest, first_import, last_import)
select 'import', case when i % 20 = 0 then 'unmatched_in_okta' else 'matched' end, id, login, 'ACTIVE',
       case when i % 20 = 0 then '' else account end, case when i % 20 = 0 then '' else upn end, 0, 0, i,
       case when i < runs / 576 * 10 then i / 10 + 1 else 1 end, null
  from size join person;

-- Plans that others followed, and the one that waits with ten thousand changes.
insert into plan (id, job, run, created_at, seen_at, policy_fingerprint, origin, superseded_by, superseded_at)
select printf('p%07d', n.i), 'managers', printf('r%07d', n.i * 300), first + n.i * 90000000, first + n.i * 90000000, 'f', 'held',
       printf('p%07d', n.i + 1), first + n.i * 90000000 + 1
  from n join size where n.i < runs / 300
union all
select 'pbig', 'managers', 'rbig', first + runs * 300000, first + runs * 300000, 'f', 'held', null, null from size;
insert into plan_change (plan, place, person, login, account, upn, kind, from_label, to_account, to_label, held)
select 'pbig', i, id, login, account, upn, 'set', '', printf('00000000-0000-4000-8000-%012d', i % 777),
       printf('p%07d@contoso.example', i % 777), 1
  from person where i < 10000;

insert into channel (name, delivered_at) select 'ops', first from size;
insert into notice (uid, channel, job, run, kind, tone, severity, title, lines, made_at, next_try, state, settled_at)
select printf('99999999-0000-4000-8000-%012d', n.i), 'ops', 'managers', printf('r%07d', n.i * 3), 'run', 'new', 'error',
       'managers failed', '["graph.microsoft.com: nobody answered"]', first + n.i * 900000, first + n.i * 900000, 'delivered',
       first + n.i * 900000 + 100
  from n join size where n.i < runs / 10;

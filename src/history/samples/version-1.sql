-- A row in every table of the first version, as its program wrote them. Two scheduled runs, the second cut off; a moment
-- between them at which no run began.
insert into meta values ('org_url', 'https://example.okta.com'), ('tenant', 'contoso.onmicrosoft.com');
insert into run (id, job, kind, trigger, caller, config_fingerprint, started_at, pid, host, ended_at, outcome, tally) values
    ('aaaa0001', 'managers', 'managers', 'schedule', 'schedule', 'f', 1790000000500, 1, 'h', 1790000001000, 'succeeded', '{"people":3}'),
    ('bbbb0002', 'licenses', 'licenses', 'manual', 'ana', 'f', 1790000031000, 1, 'h', 1790000032000, 'succeeded', null),
    ('cccc0003', 'managers', 'managers', 'schedule', 'schedule', 'f', 1790000060500, 1, 'h', null, null, null);
insert into change (run, job, person, login, account, upn, kind, from_label, to_account, to_label, client_request_id, intent_at) values
    ('aaaa0001', 'managers', '00u1', 'ana@example.com', '00000000-0000-0000-0000-000000000001', 'ana@contoso.example', 'set', '',
     '00000000-0000-0000-0000-000000000002', 'bo@contoso.example', '00000000-0000-0000-0000-000000000003', 1790000000700);
insert into decision (job, person, login, upn, reason, digest, evidence, first_run, first_at) values
    ('managers', '00u1', 'ana@example.com', 'ana@contoso.example', 'agreed', 1, '{}', 'aaaa0001', 1790000000500);
insert into decision_pass values ('managers', 'aaaa0001', 1790000000500);
insert into link values ('f', '00u1', '00000000-0000-0000-0000-000000000001', 'aaaa0001', 1790000000500);
insert into parked (job, person, login, reason, cause, remedy, since, run) values
    ('managers', '00u2', 'bo@example.com', 'blocked', 'refused', 'ask', 1790000000500, 'aaaa0001');
insert into source_reading (run, job, at, people, with_reference, accounts, complete) values
    ('aaaa0001', 'managers', 1790000000500, 3, 2, 3, 1);
insert into plan (id, job, run, created_at, seen_at, policy_fingerprint, origin) values
    ('paaaa1111', 'managers', 'aaaa0001', 1790000000500, 1790000000500, 'f', 'held');
insert into plan_change (plan, place, person, login, account, upn, kind, from_label, to_account, to_label, held) values
    ('paaaa1111', 0, '00u1', 'ana@example.com', '00000000-0000-0000-0000-000000000001', 'ana@contoso.example', 'set', '',
     '00000000-0000-0000-0000-000000000002', 'bo@contoso.example', 1);
insert into call (run, at, service, method, path, latency_ms, attempts, verdict) values
    ('bbbb0002', 1790000031500, 'graph', 'GET', '/subscribedSkus', 5, 1, 'ok');
insert into license_reading values ('bbbb0002', 1790000031000);
insert into license_snapshot values ('bbbb0002', 's', 'E5', 'E5 Developer', 'Enabled', 25, 1, 0, 0, 0, '[]');
insert into subscription_snapshot values ('bbbb0002', 'u', 's', 'E5', 'Enabled', 25, 0, null, null);
insert into moment (job, planned_at, disposition, run, recorded_at) values
    ('managers', 1790000000000, 'ran', 'aaaa0001', 1790000001000),
    ('managers', 1790000010000, 'overlap', null, 1790000010000),
    ('managers', 1790000030000, 'ran', null, 1790000030000),
    ('managers', 1790000060000, 'late', null, 1790000060500);
insert into job_policy values ('managers', 'f', 1790000000500, 'ana');

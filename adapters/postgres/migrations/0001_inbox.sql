-- "{schema}" is replaced by the configured name, checked before.

create table "{schema}".scopes (
    id   integer generated always as identity primary key,
    name text collate "C" not null unique check (octet_length(name) between 1 and 200)
);
comment on table "{schema}".scopes is
    'Whose records: consumer/group/generation. Rows of inbox carry the id, which is shorter.';

-- Not cached: a fence must be greater than every earlier one of its key, whichever session draws it.
create sequence "{schema}".fence cache 1;

create table "{schema}".inbox (
    scope        integer     not null,
    attempts     integer     not null check (attempts >= 0),
    fence        bigint      not null,
    until        timestamptz not null,
    reap_at      timestamptz not null,
    retention    bigint      not null check (retention >= 0),
    redrives     integer     not null default 0,
    state        "char"      not null check (state in ('p', 'f', 'd', 'x')),
    key          bytea       not null check (octet_length(key) between 1 and 64),
    owner        uuid        check ((owner is not null) = (state = 'p')),
    digest       bytea,
    first_failed timestamptz,
    last_failed  timestamptz,
    last_error   text,
    primary key (scope, key)
) with (
    -- Room in each page for the new version of its rows, so that completions are HOT updates.
    fillfactor = 50,
    -- By rows written and not by share of the table: the cost of a vacuum stays small and steady.
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 1
);
comment on table "{schema}".inbox is 'What steadfast consumers have begun and done: one row a dedup key and scope.';
comment on column "{schema}".inbox.state is 'p in progress, f failed and to be retried, d done, x dead';
comment on column "{schema}".inbox.until is
    'p: end of the lease; f: not due before; d, x: expires';
comment on column "{schema}".inbox.reap_at is
    'When the reaper looks at the row: never later than it expires. Set at the claim and not at the end, so that no index changes when a record ends.';
comment on column "{schema}".inbox.retention is 'Microseconds that the row is kept once it has ended';
comment on column "{schema}".inbox.owner is 'Who holds it: random for each attempt';
comment on column "{schema}".inbox.fence is 'Grows with every claim of the key';
comment on column "{schema}".inbox.digest is 'Of the payload; null once re-armed';

create index inbox_reap_at on "{schema}".inbox (reap_at);

create function "{schema}".epoch(at timestamptz) returns bigint
language sql stable strict parallel safe as $$ select (extract(epoch from at) * 1000000)::bigint $$;

-- The numbers of scopes, in the order of their names: null for one that has none, or, when they are to be
-- made, never. Looked up in each statement: a number that a client remembers may be another scope's after a
-- fail-over. Runs with the settings of its caller.
create function "{schema}".numbers(names text[], make boolean) returns integer[]
language plpgsql volatile
as $$
declare
    numbers integer[];
    number integer;
begin
    for n in 1 .. cardinality(names) loop
        loop
            select s.id into number from "{schema}".scopes s where s.name = names[n];
            exit when found or not make;
            insert into "{schema}".scopes (name) values (names[n]) on conflict (name) do nothing;
        end loop;
        numbers[n] := number;
    end loop;
    return numbers;
end $$;

-- Claims any number of records, each once; a scope is a position in the names. It is committed durably
-- whatever the session says, as all that follows here: a record that a crash forgets is a message that
-- runs twice. Returns a row for each
-- that it can answer: granted, d done, x dead, p busy, f not due, c conflict. None for a record that
-- changed between the two statements: it is asked for again.
--
-- Everything after "do update" is evaluated when the row is locked: the clock and the fence are right
-- there, and would not be in "excluded".
--
-- The plan is made once a session and must not depend on statistics, which are wrong in a table that
-- grows from nothing. A join of the arrays with the table may become a scan of the whole index, for the
-- planner takes it for a page; "lateral (… offset 0)" cannot become anything but a look-up for each row.
create function "{schema}".claim(
    names text[], scopes integer[], keys bytea[], owners uuid[], digests bytea[], leases bigint[],
    retentions bigint[], look_first boolean
) returns table (
    o_scope integer, o_key bytea, o_answer "char", o_fence bigint, o_attempts integer,
    o_wait bigint, o_first_failed bigint, o_last_failed bigint, o_last_error text
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set lock_timeout = '300ms'
set plan_cache_mode = force_generic_plan
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
declare
    asked constant integer := array_length(keys, 1);
    began constant timestamptz := clock_timestamp();
    numbers constant integer[] := "{schema}".numbers(names, true);
    granted integer;
    claimable bigint[];
begin
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'on', true);
    end if;
    if look_first then
        -- A duplicate that is seen here locks nothing and writes nothing, and what somebody else has
        -- locked is not waited for.
        select array_agg(u.o) into claimable
        from unnest(keys) with ordinality as u(key, o)
        left join lateral (
            select i.key, i.owner, i.state, i.until from "{schema}".inbox i
            where i.scope = numbers[scopes[u.o]] and i.key = u.key offset 0
        ) t on true
        left join lateral (
            select true as ours from "{schema}".inbox i
            where i.scope = numbers[scopes[u.o]] and i.key = u.key
              and (t.owner = owners[u.o]
                   or (t.state in ('p', 'f', 'd') and t.until <= clock_timestamp()))
            offset 0 for update skip locked
        ) l on true
        where t.key is null or l.ours;
    end if;
    return query
    insert into "{schema}".inbox as t
        (scope, key, state, fence, owner, attempts, until, reap_at, retention, digest)
    select numbers[scopes[u.o]], u.key, 'p', nextval('"{schema}".fence'), owners[u.o], 1,
           began + leases[u.o] * interval '1 microsecond',
           began + retentions[u.o] * interval '1 microsecond', retentions[u.o], u.digest
    from unnest(keys, digests) with ordinality as u(key, digest, o)
    where not look_first or u.o = any (claimable)
    -- Every statement locks in this order, so that none waits for another in a circle.
    order by numbers[scopes[u.o]], u.key
    on conflict (scope, key) do update set
        state = 'p',
        owner = excluded.owner,
        fence = case when t.owner = excluded.owner then t.fence
                     else nextval('"{schema}".fence') end,
        attempts = case when t.state = 'd' then 1
                        when t.owner = excluded.owner then t.attempts
                        when t.attempts = 2147483647 then t.attempts
                        else t.attempts + 1 end,
        until = clock_timestamp() + (excluded.until - began),
        reap_at = case when t.state = 'd' then excluded.reap_at else t.reap_at end,
        retention = case when t.state = 'd' then excluded.retention
                         else greatest(t.retention, excluded.retention) end,
        redrives = case when t.state = 'd' then 0 else t.redrives end,
        digest = excluded.digest,
        first_failed = case when t.state = 'd' then null else t.first_failed end,
        last_failed = case when t.state = 'd' then null else t.last_failed end,
        last_error = case when t.state = 'd' then null else t.last_error end
    where case t.state
              when 'p' then t.owner = excluded.owner or t.until <= clock_timestamp()
              when 'f' then t.until <= clock_timestamp()
              when 'd' then t.until <= clock_timestamp()
              else false end
      and (t.state = 'd' or t.digest is null or t.digest = excluded.digest)
    returning array_position(numbers, t.scope), t.key, 'g'::"char", t.fence, t.attempts, 0::bigint,
              "{schema}".epoch(t.first_failed), "{schema}".epoch(t.last_failed), t.last_error;
    get diagnostics granted = row_count;
    if granted = asked then
        return;
    end if;
    -- Another statement, so another snapshot: it sees what the first one waited for.
    return query
    select scopes[u.o], u.key,
           case when (t.live or t.state <> 'd') and t.digest <> u.digest then 'c'::"char"
                when t.live then t.state
                else 'p'::"char" end,
           t.fence, t.attempts,
           case when t.live then "{schema}".epoch(t.until) - "{schema}".epoch(clock_timestamp())
                else 100000 end,
           null::bigint, null::bigint, null::text
    from unnest(keys, digests) with ordinality as u(key, digest, o)
    cross join lateral (
        select i.state, i.owner, i.fence, i.attempts, i.until, i.digest,
               i.state = 'x' or i.until > clock_timestamp() as live
        from "{schema}".inbox i
        where i.scope = numbers[scopes[u.o]] and i.key = u.key offset 0
    ) t
    where (t.owner = owners[u.o] and t.digest = u.digest) is not true
      and (t.live or (t.state <> 'd' and t.digest <> u.digest)
           -- Its time is over, and somebody has locked it.
           or (look_first and (u.o = any (claimable)) is not true));
end $$;

-- Makes any number of writes by owners, each once: d complete, f fail, r release, x bury, p extend.
-- Returns the positions of those that are fenced.
--
-- Two statements: the first one locks and learns where the rows are now, the second one, whose
-- snapshot is taken after that, finds them there.
create function "{schema}".write(
    names text[], scopes integer[], keys bytea[], owners uuid[], fences bigint[], ends "char"[],
    spans bigint[], notes text[]
) returns setof bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set lock_timeout = '300ms'
set plan_cache_mode = force_generic_plan
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
declare
    asked constant integer := array_length(keys, 1);
    numbers constant integer[] := "{schema}".numbers(names, false);
    places tid[]; its bigint[];
    ended timestamptz;
begin
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'on', true);
    end if;
    select array_agg(l.place), array_agg(u.o) into places, its
    from (
        select u.key, u.o from unnest(keys) with ordinality as u(key, o)
        order by numbers[scopes[u.o]], u.key
    ) u
    cross join lateral (
        select i.ctid as place from "{schema}".inbox i
        where i.scope = numbers[scopes[u.o]] and i.key = u.key
          and i.owner = owners[u.o] and i.fence = fences[u.o]
        offset 0 for update
    ) l;
    -- Once, and with the locks held: what is written in one moment bears one time.
    ended := clock_timestamp();
    update "{schema}".inbox t set
        state = case ends[l.o] when 'r' then 'f' else ends[l.o] end,
        owner = case ends[l.o] when 'p' then t.owner end,
        attempts = case ends[l.o] when 'r' then greatest(t.attempts - 1, 0) else t.attempts end,
        until = ended
              + case when ends[l.o] in ('d', 'x') then t.retention else spans[l.o] end
                * interval '1 microsecond',
        first_failed = case when ends[l.o] in ('f', 'x') then coalesce(t.first_failed, ended)
                            else t.first_failed end,
        last_failed = case when ends[l.o] in ('f', 'x') then ended else t.last_failed end,
        last_error = case when ends[l.o] in ('f', 'x') then notes[l.o] else t.last_error end
    from unnest(places, its) as l(place, o)
    where t.ctid = l.place;
    if cardinality(places) = asked then
        return;
    end if;
    -- A write whose reply was lost has left its fence, in the state that it leads to.
    return query
    select u.o
    from unnest(keys) with ordinality as u(key, o)
    left join lateral (
        select i.key, i.fence, i.owner, i.state from "{schema}".inbox i
        where i.scope = numbers[scopes[u.o]] and i.key = u.key offset 0
    ) t on true
    where t.key is null or t.fence <> fences[u.o] or t.owner <> owners[u.o]
       or t.state <> case ends[u.o] when 'r' then 'f'::"char" else ends[u.o] end;
end $$;

-- The first statement of a lent transaction. A client that hangs, or goes away in the middle of a
-- statement, must not keep its locks; and a server that became a replica must not look like a handler
-- that failed. The mark ends with the transaction: a handler that ended it by itself is found out.
create function "{schema}".lend(idle_milliseconds integer, check_milliseconds integer) returns void
language plpgsql volatile
as $$
begin
    if current_setting('transaction_read_only')::boolean then
        raise exception 'the server takes no writes now' using errcode = 'read_only_sql_transaction';
    end if;
    perform set_config('idle_in_transaction_session_timeout', idle_milliseconds::text, true);
    if check_milliseconds > 0 then
        perform set_config('client_connection_check_interval', check_milliseconds::text, true);
    end if;
    perform set_config('steadfast.lent', 'yes', true);
end $$;

-- The last statement of a lent transaction: an error when the record is not held any more, so that the
-- commit that is sent along is not made. An earlier completion does not count: it had other effects.
create function "{schema}".finish(p_scope text, p_key bytea, p_owner uuid, p_fence bigint)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off set jit = off
as $$
begin
    if current_setting('steadfast.lent', true) is distinct from 'yes' then
        raise exception 'not in the transaction that was lent' using errcode = 'SF002';
    end if;
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'on', true);
    end if;
    update "{schema}".inbox t set
        state = 'd', owner = null,
        until = clock_timestamp() + t.retention * interval '1 microsecond'
    where t.scope = (select s.id from "{schema}".scopes s where s.name = p_scope)
      and t.key = p_key and t.owner = p_owner and t.fence = p_fence;
    if not found then
        raise exception 'the record is not held any more' using errcode = 'SF001';
    end if;
end $$;

-- Makes a dead record ready to run again; with a fence, only if it died under this one.
create function "{schema}".rearm(p_scope text, p_key bytea, p_fence bigint) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off set jit = off
as $$
begin
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'on', true);
    end if;
    update "{schema}".inbox t set
        state = 'f', until = clock_timestamp(), attempts = 0, redrives = t.redrives + 1,
        digest = null
    where t.scope = (select s.id from "{schema}".scopes s where s.name = p_scope)
      and t.key = p_key and t.state = 'x'
      and (p_fence is null or t.fence = p_fence);
    return found;
end $$;

-- Looks at no more than this many rows whose time has come by then (now, where none is given): removes
-- those that have expired, and puts off the others to the earliest time at which they can. Never
-- waits for a lock. Returns the time too, for the next batch: what was put off is not seen again.
create function "{schema}".reap(batch integer, by_then bigint)
returns table (removed integer, seen integer, at bigint)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
-- Nothing is sorted that an index holds in order.
set enable_sort = off
as $$
declare
    horizon constant timestamptz := coalesce(
        timestamptz 'epoch' + by_then * interval '1 microsecond', clock_timestamp());
    places tid[];
begin
    at := "{schema}".epoch(horizon);
    select array_agg(d.place) into places from (
        select t.ctid as place from "{schema}".inbox t
        where t.reap_at <= horizon order by t.reap_at limit batch for update skip locked
    ) d;
    seen := coalesce(cardinality(places), 0);
    delete from "{schema}".inbox t using unnest(places) as u(place)
    where t.ctid = u.place and t.state in ('d', 'x') and t.until <= horizon;
    get diagnostics removed = row_count;
    if removed < seen then
        update "{schema}".inbox t set reap_at = case
            when t.state in ('d', 'x') then t.until
            else clock_timestamp() + t.retention * interval '1 microsecond' end
        from unnest(places) as u(place)
        where t.ctid = u.place;
    end if;
    return next;
end $$;

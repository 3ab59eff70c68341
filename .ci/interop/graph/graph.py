"""Microsoft's own Python client against the sandbox's sign-in and Graph."""

import asyncio
import json
import os
import sys
import time
import traceback
import uuid

import httpx
from azure.core.credentials import AccessToken
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from kiota_http.middleware.options import RetryHandlerOption
from kiota_serialization_json.json_parse_node_factory import JsonParseNodeFactory
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.reference_update import ReferenceUpdate
from msgraph.generated.models.user import User
from msgraph.generated.models.user_collection_response import UserCollectionResponse
from msgraph.generated.users.users_request_builder import UsersRequestBuilder
from msgraph_core.requests.batch_request_content import BatchRequestContent
from msgraph_core.requests.batch_request_item import BatchRequestItem
from msgraph_core.requests.batch_response_content import BatchResponseContent
from msgraph_core.tasks.page_iterator import PageIterator

PLACE = json.loads(os.environ["SANDBOX"])
KEYS = PLACE["credentials"]
NOBODY = str(uuid.UUID(int=0xDEAD))


class Secret:
    """A credential in the form of azure-core: the app's secret at the sandbox's sign-in."""

    def form(self):
        scope = "https://graph.microsoft.com/.default"
        identity = {"client_id": KEYS["client_id"], "client_secret": KEYS["client_secret"]}
        return identity | {"grant_type": "client_credentials", "scope": scope}

    async def get_token(self, *_scopes, **_options):
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(f"{PLACE['login_url']}/{KEYS['tenant']}/oauth2/v2.0/token", data=self.form())
        answer.raise_for_status()
        token = answer.json()
        assert token["token_type"] == "Bearer"
        return AccessToken(token["access_token"], int(time.time()) + int(token["expires_in"]))


class Person(Secret):
    """Likewise the delegated identity, by its first refresh token."""

    def form(self):
        identity = {"client_id": KEYS["user_client_id"], "refresh_token": KEYS["refresh_token"]}
        return identity | {"grant_type": "refresh_token", "scope": "https://graph.microsoft.com/User.Read"}


class Stranger:
    """A token that nobody issued."""

    async def get_token(self, *_scopes, **_options):
        return AccessToken("not-a-token", int(time.time()) + 3600)


def graph(credential=None):
    adapter = GraphRequestAdapter(AzureIdentityAuthenticationProvider(credential or Secret(), scopes=["-"]))
    adapter.base_url = f"{PLACE['graph_url']}/v1.0"
    return GraphServiceClient(request_adapter=adapter)


def listing(select, top, **more):
    query = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(select=select, top=top, **more)
    return RequestConfiguration(query_parameters=query)


async def users(client, select=("id", "userPrincipalName"), top=999, **more):
    """All users, by the client's own page iterator, and how many pages they came in."""
    first = await client.users.get(request_configuration=listing(list(select), top, **more))
    found, pages = [], 1
    iterator = PageIterator(first, client.request_adapter)
    iterator.parsable_factory = UserCollectionResponse
    fetch = iterator.fetch_next_page

    async def counted():
        nonlocal pages
        pages += 1
        return await fetch()

    iterator.fetch_next_page = counted
    await iterator.iterate(lambda user: found.append(user) or True)
    return found, pages


async def refusal(call):
    """What `call` fails with, which must be the client's own error class."""
    try:
        await call
    except ODataError as error:
        assert error.error.message, "with a message"
        return error.response_status_code, error.error.code
    raise AssertionError("it was not refused")


EVERYONE = []


async def everyone(client):
    """All accounts, listed once for all that only need somebody: this client takes milliseconds to make a user."""
    if not EVERYONE:
        EVERYONE.extend((await users(client, ("id", "onPremisesSyncEnabled", "accountEnabled", "userType")))[0])
    return EVERYONE


async def free_accounts(client, count):
    """Accounts that Graph lets us write: not mastered on premises."""
    found = await everyone(client)
    free = [it for it in found if not it.on_premises_sync_enabled and it.account_enabled and it.user_type == "Member"]
    assert len(free) >= count
    return free[:count]


def reference(account):
    return ReferenceUpdate(odata_id=f"{PLACE['graph_url']}/v1.0/users/{account.id}")


async def sent(client, content):
    """Sends a batch: the client's own answer type, and the typed bodies by id.

    The bodies are read here from the same bytes, because msgraph-core 1.5.2 drops every body that is a JSON object.
    """
    request = await client.batch.to_post_request_information(content)
    answer = await client.request_adapter.send_primitive_async(request, "bytes", {"XXX": ODataError})
    node = JsonParseNodeFactory().get_root_parse_node("application/json", answer)
    bodies = {item["id"]: json.dumps(item["body"]).encode() for item in json.loads(answer)["responses"] if "body" in item}

    def typed(name, kind):
        return JsonParseNodeFactory().get_root_parse_node("application/json", bodies[name]).get_object_value(kind)

    return node.get_object_value(BatchResponseContent), typed


async def pages_through_all_users_each_once():
    client = graph()
    found, pages = await users(client, top=50)
    assert len(found) >= 250, len(found)
    assert len({user.id for user in found}) == len(found), "nobody twice"
    assert pages == -(-len(found) // 50), f"{pages} pages"


async def the_count_agrees_with_the_listing():
    client = graph()
    found = await everyone(client)
    eventual = RequestConfiguration()
    eventual.headers.add("ConsistencyLevel", "eventual")
    assert await client.users.count.get(request_configuration=eventual) == len(found)


async def a_listing_expands_the_managers():
    client = graph()
    found, _ = await users(client, expand=["manager($select=id)"])
    ids = {user.id for user in found}
    managed = [user for user in found if user.manager]
    assert managed, "somebody has a manager"
    assert all(user.manager.id in ids for user in managed)
    read = await client.users.by_user_id(managed[0].id).manager.get()
    assert (read.id, read.odata_type) == (managed[0].manager.id, "#microsoft.graph.user")


async def a_manager_is_written_read_replaced_and_deleted():
    client = graph()
    report, boss, other = await free_accounts(client, 3)
    place = client.users.by_user_id(report.id).manager
    for manager in (boss, other):
        await place.ref.put(reference(manager))
        assert (await place.get()).id == manager.id
    await place.ref.delete()
    assert await refusal(place.get()) == (404, "Request_ResourceNotFound")


async def a_batch_judges_each_request_by_itself():
    client = graph()
    report, boss = await free_accounts(client, 2)
    asked = {
        "read": client.users.by_user_id(report.id).to_get_request_information(),
        "missing": client.users.by_user_id(NOBODY).to_get_request_information(),
        "write": client.users.by_user_id(report.id).manager.ref.to_put_request_information(reference(boss)),
        "skus": client.subscribed_skus.to_get_request_information(),
    }
    content = BatchRequestContent()
    for name, request in asked.items():
        item = BatchRequestItem(request, id=name)
        item.url = item.url.split("/v1.0", 1)[-1]  # relative to the version root, as Graph wants it
        content.add_request(name, item)
    answers, typed = await sent(client, content)
    statuses = answers.get_response_status_codes()
    assert statuses == {"read": 200, "missing": 404, "write": 204, "skus": 200}, statuses
    assert typed("read", User).id == report.id
    assert typed("missing", ODataError).error.code == "Request_ResourceNotFound"
    place = client.users.by_user_id(report.id).manager
    assert (await place.get()).id == boss.id
    await place.ref.delete()


async def licenses_and_subscriptions_are_read():
    client = graph()
    skus = (await client.subscribed_skus.get()).value
    assert skus and all(isinstance(sku.sku_id, uuid.UUID) and sku.sku_part_number for sku in skus)
    assert all(sku.prepaid_units.enabled >= 0 and sku.consumed_units >= 0 for sku in skus)
    assert any(sku.service_plans for sku in skus)
    subscriptions = (await client.directory.subscriptions.get()).value
    assert subscriptions and any(it.next_lifecycle_date_time for it in subscriptions)


async def the_delegated_identity_reads_itself():
    me = await graph(Person()).me.get()
    assert me.id and me.user_principal_name


async def an_app_without_a_user_has_no_me():
    assert (await refusal(graph().me.get()))[0] == 400


async def an_unknown_user_is_a_404():
    assert await refusal(graph().users.by_user_id(NOBODY).get()) == (404, "Request_ResourceNotFound")


async def an_unknown_token_is_a_401():
    assert await refusal(graph(Stranger()).users.get()) == (401, "InvalidAuthenticationToken")


async def a_write_without_the_permission_is_a_403():
    report, boss = await free_accounts(graph(), 2)
    place = graph(Person()).users.by_user_id(report.id).manager.ref
    assert await refusal(place.put(reference(boss))) == (403, "Authorization_RequestDenied")


async def a_page_of_a_thousand_is_a_400():
    asked = graph().users.get(request_configuration=listing(["id"], 1000))
    assert await refusal(asked) == (400, "Request_UnsupportedQuery")


async def an_account_mastered_on_premises_is_not_written():
    client = graph()
    found = await everyone(client)
    synced = next(user for user in found if user.on_premises_sync_enabled)
    boss = next(user for user in found if not user.on_premises_sync_enabled)
    place = client.users.by_user_id(synced.id).manager.ref
    assert await refusal(place.put(reference(boss))) == (400, "Request_BadRequest")


async def a_throttled_client_waits_as_long_as_it_is_told():
    order = {"service": "graph", "path": "/v1.0/subscribedSkus", "when": {"next": 1}}
    order |= {"fault": "throttle", "retry_after": {"seconds": 2}}
    async with httpx.AsyncClient(trust_env=False) as http:
        (await http.post(f"{PLACE['okta_url']}/_sandbox/faults", json=order)).raise_for_status()
    began = time.monotonic()
    assert (await graph().subscribed_skus.get()).value
    assert time.monotonic() - began >= 2


async def a_throttled_client_without_patience_sees_a_429():
    order = {"service": "graph", "path": "/v1.0/subscribedSkus", "when": {"next": 1}, "fault": "throttle"}
    async with httpx.AsyncClient(trust_env=False) as http:
        (await http.post(f"{PLACE['okta_url']}/_sandbox/faults", json=order)).raise_for_status()
    once = RequestConfiguration(options=[RetryHandlerOption(max_retries=0, should_retry=False)])
    status, code = await refusal(graph().subscribed_skus.get(request_configuration=once))
    assert status == 429 and code, (status, code)


async def main():
    kept = True
    for name, promise in list(globals().items()):
        if not asyncio.iscoroutinefunction(promise) or promise in HELPERS:
            continue
        began = time.monotonic()
        try:
            await promise()
            print(f"ok {name.replace('_', ' ')} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception as error:  # whatever it is, the other promises are asked too
            kept = False
            print(f"FAILED {name.replace('_', ' ')}: {error!r}\n{traceback.format_exc()}", flush=True)
    sys.exit(0 if kept else 1)


HELPERS = {users, refusal, everyone, free_accounts, sent, main}

if __name__ == "__main__":
    asyncio.run(main())

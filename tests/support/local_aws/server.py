"""A local AWS for the tests and the demo: moto's S3, CloudFront, STS and IAM, with signatures and policies checked.

Reads one JSON command a line on standard input, so that it ends with whoever started it, and answers each with one line
that has the command's number, as a command may wait and others need not wait for it. Each world that it makes has its own
bucket, user, distribution, CDN edge and address; requests are logged, held at gates and answered with faults for each world
alone. What moto does not do as AWS does is corrected here, each with its reason.

No test depends on how fast anything is: what must happen in an order is held at a gate until its turn comes.
"""

import base64
import datetime
import functools
import hashlib
import ipaddress
import itertools
import json
import os
import re
import socket
import ssl
import sys
import tempfile
import threading
import time
import uuid
from http import HTTPStatus
from urllib.parse import parse_qs, unquote, urlsplit
from urllib.request import urlopen

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from moto import settings
from moto.backends import get_backend
from moto.cloudfront import models as cloudfront_models
from moto.cloudfront.responses import CloudFrontResponse
from moto.core.exceptions import ServiceException
from moto.iam import access_control
from moto.moto_api._internal import mock_random
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3.exceptions import S3ClientError
from moto.s3.models import FakeDeleteMarker, FakeKey, S3Backend
from moto.s3.responses import ACTION_MAP, S3Response
from moto.sts.responses import TokenResponse
from werkzeug.serving import generate_adhoc_ssl_pair, make_server

ACCOUNT = "123456789012"
REGION = "ap-southeast-2"
# How often somebody looks at an invalidation, or at one of its paths at the edge, and finds it in progress. At AWS it is so
# for seconds to minutes, at moto for no time.
LOOKS_IN_PROGRESS = 1
# How many paths with a wildcard CloudFront has in progress for a distribution.
MAX_WILDCARDS = 15
# A test that waits as long as this for what it expects has failed.
PATIENCE_SECONDS = 120

iam = get_backend("iam")[ACCOUNT]["aws"]
s3 = s3_backend = get_backend("s3")[ACCOUNT]["aws"]
cloudfront = get_backend("cloudfront")[ACCOUNT]["aws"]
sts = get_backend("sts")[ACCOUNT]["aws"]
settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
# Any two of them make the same worlds, with the same keys, as the benchmark needs.
mock_random.seed(0)


def distribution_arn(response):
    """moto checks every CloudFront action against the resource `*`; AWS checks it against the distribution."""
    found = re.search(r"/distribution/([^/?]+)", response.path)
    return f"arn:aws:cloudfront::{ACCOUNT}:distribution/{found[1]}" if found else "*"


CloudFrontResponse._determine_resource = distribution_arn

create_aws_request = access_control.IAMRequestBase._create_aws_request


def with_the_body_that_was_sent(request):
    """moto signs the parameters of a request that has no body, so that every GET of CloudFront is refused."""
    aws_request = create_aws_request(request)
    if request._service == "cloudfront":
        aws_request.data = request._body
    return aws_request


access_control.IAMRequestBase._create_aws_request = with_the_body_that_was_sent

# moto takes HEAD of a version for HEAD of the object.
ACTION_MAP["KEY"]["HEAD"]["versionId"] = "GetObjectVersion"

statement_permits = access_control.IAMPolicyStatement.is_action_permitted
requested = threading.local()


def on_its_conditions(statement, action, resource="*", principal=None, values=None):
    """moto knows no condition of S3, and takes one that does not hold for a denial. At AWS, such a statement is of no effect."""
    condition = statement._statement.get("Condition", {})
    if any(name.startswith("s3:") for names in condition.values() for name in names):
        prefix = getattr(requested, "prefix", None)
        for operator, names in condition.items():
            for name, wanted in names.items():
                assert name == "s3:prefix" and operator in ("StringEquals", "StringLike"), (operator, name)
                patterns = [re.escape(it) if operator == "StringEquals" else re.escape(it).replace("\\*", ".*") for it in wanted]
                if prefix is None or not any(re.fullmatch(pattern, prefix) for pattern in patterns):
                    return access_control.PermissionResult.NEUTRAL
        statement = access_control.IAMPolicyStatement({name: it for name, it in statement._statement.items() if name != "Condition"})
    return statement_permits(statement, action, resource, principal, values)


access_control.IAMPolicyStatement.is_action_permitted = on_its_conditions

check_action_permitted = access_control.IAMRequestBase.check_action_permitted


def within_the_session_policy(request, resource):
    """moto ignores the policy of a session; at AWS, the session may do what both it and the role allow."""
    if request._action == "s3:AbortMultipartUpload":
        # At AWS, whoever created a multipart upload may abort it without any permission.
        return
    deny_by_bucket_policy(request, resource)
    requested.prefix = parse_qs(urlsplit(request._path).query).get("prefix", [None])[0]
    permit(request, resource)
    use_key(request, resource)
    if request._action == "s3:PutObject" and request._headers.get("If-Match", '"none"') != '"none"':
        # A write on the condition that an object has not changed reads its ETag, which moto does not mind.
        request._action = "s3:GetObject"
        permit(request, resource)


def use_key(request, resource):
    """moto encrypts without asking whether the caller may use the bucket's key; S3 uses it with the caller's permissions."""
    world = world_of(resource)
    actions = {"s3:PutObject": "kms:GenerateDataKey", "s3:GetObject": "kms:Decrypt", "s3:GetObjectVersion": "kms:Decrypt"}
    action = actions.get(request._action)
    if not (world and world.kms_key and action):
        return
    action_of_s3, request._action = request._action, action
    try:
        permit(request, world.kms_key)
    except Exception:
        raise S3ClientError(
            "AccessDenied",
            f"User: {request._access_key.arn} is not authorized to perform: {action} on resource: {world.kms_key} because no "
            f"identity-based policy allows the {action} action",
        )
    finally:
        request._action = action_of_s3


def permit(request, resource):
    check_action_permitted(request, resource)
    for role in sts.assumed_roles:
        if role.access_key_id == request._access_key._access_key_id and role.policy:
            allowed = access_control.IAMPolicy(role.policy).is_action_permitted(request._action, resource)
            if allowed != access_control.PermissionResult.PERMITTED:
                request._raise_access_denied()


def world_of(resource):
    return next((world for world in list(worlds.values()) if resource.startswith(f"arn:aws:s3:::{world.bucket}/")), None)


def deny_by_bucket_policy(request, resource):
    """moto heeds a bucket policy for some requests, without AWS's message and `NotResource`."""
    world = world_of(resource)
    for denied in world.denied_by_bucket_policy if world else []:
        if request._action == denied["Action"] and resource not in denied["NotResource"]:
            raise S3ClientError(
                "AccessDenied",
                f"User: {request._access_key.arn} is not authorized to perform: {request._action} on resource: \"{resource}\" "
                "with an explicit deny in a resource-based policy",
            )


access_control.IAMRequestBase.check_action_permitted = within_the_session_policy

authenticate = TokenResponse._authenticate_and_authorize_normal_action


def unless_unsigned(response, resource="*"):
    """AssumeRoleWithWebIdentity is not signed; its token is its proof."""
    if response._get_action() != "AssumeRoleWithWebIdentity":
        authenticate(response, resource)


class TokenRefused(ServiceException):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def check_trust(role_arn, token):
    """moto lets everybody assume every role. AWS looks for the identity provider and its audience, then at the time, then at the
    role's trust policy. It checks the token's signature too, which nothing here has a key for."""
    role = next((role for role in iam.get_roles() if role.arn == role_arn), None)
    if role and role.assume_role_policy_document == "{}":
        return
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    issuer = claims["iss"].removeprefix("https://")
    provider = next((provider for provider in iam.open_id_providers.values() if provider.url == issuer), None)
    if not provider:
        raise TokenRefused("InvalidIdentityToken", f"No OpenIDConnect provider found in your account for {claims['iss']}")
    if not set(audiences) & set(provider.client_id_list):
        raise TokenRefused("InvalidIdentityToken", "Incorrect token audience")
    if claims["exp"] < time.time():
        raise TokenRefused("ExpiredTokenException", "Token expired: current date/time must be before the expiration date/time")
    for statement in json.loads(role.assume_role_policy_document)["Statement"] if role else []:
        values = {f"{issuer}:aud": audiences, f"{issuer}:sub": [claims["sub"]]}
        conditions = statement["Condition"]
        equal = all(
            set(values.get(key, [])) & set(wanted if isinstance(wanted, list) else [wanted])
            for key, wanted in conditions.get("StringEquals", {}).items()
        )
        alike = all(
            any(re.fullmatch(re.escape(wanted).replace("\\*", ".*"), value) for value in values.get(key, []))
            for key, wanted in conditions.get("StringLike", {}).items()
        )
        if statement["Principal"]["Federated"] == provider.arn and equal and alike:
            return
    raise TokenRefused("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")


TokenResponse._authenticate_and_authorize_normal_action = unless_unsigned

assume_role_with_web_identity = TokenResponse.assume_role_with_web_identity


def if_the_role_trusts_the_token(response):
    check_trust(response._get_param("RoleArn"), response._get_param("WebIdentityToken"))
    return assume_role_with_web_identity(response)


TokenResponse.assume_role_with_web_identity = if_the_role_trusts_the_token



def list_object_versions(backend, bucket_name, delimiter=None, key_marker=None, max_keys=1000, prefix="", version_id_marker=None):
    """moto copies all content of the bucket first, which takes seconds, and has two versions of one moment in the wrong order."""
    keys = backend.get_bucket(bucket_name).keys
    found = []
    for name in sorted(name for name, _ in keys.iterlists()):
        for at, version in enumerate(reversed(keys.getlist(name))):
            version.is_latest = at == 0
            found.append(version)
    if key_marker is not None:
        # Without the ID of a version, all of the key are skipped.
        markers = [at for at, it in enumerate(found) if it.name == key_marker and version_id_marker in (None, it.version_id)]
        found = found[markers[-1] + 1 :] if markers else [it for it in found if it.name > key_marker]
    found = [it for it in found if it.name.startswith(prefix)]
    page, last = found[:max_keys], None
    if len(found) > max_keys:
        last = page[-1]
    versions = [it for it in page if isinstance(it, FakeKey)]
    markers = [it for it in page if isinstance(it, FakeDeleteMarker)]
    return versions, [], markers, last and last.name, last and last.version_id


S3Backend.list_object_versions = list_object_versions

put_object_of_moto = S3Response.put_object


def put_object_on_its_conditions(response):
    """The stores of some worlds ignore the conditions of a write, which are signed all the same."""
    if any(world.bucket == response.bucket_name and world.ignores_conditions for world in list(worlds.values())):
        response.headers = {name: value for name, value in response.headers.items() if name not in ("If-Match", "If-None-Match")}
    return put_object_of_moto(response)


S3Response.put_object = put_object_on_its_conditions


def start_invalidation(invalidation, _):
    invalidation.looks = 0


def invalidation_status(invalidation):
    """moto's are completed at once, with a word that is not AWS's."""
    return "Completed" if invalidation.looks > LOOKS_IN_PROGRESS else "InProgress"


cloudfront_models.Invalidation.status = property(invalidation_status, start_invalidation)
get_invalidation = cloudfront_models.CloudFrontBackend.get_invalidation


def with_a_look(backend, *args, **kwargs):
    invalidation = get_invalidation(backend, *args, **kwargs)
    invalidation.looks += 1
    return invalidation


cloudfront_models.CloudFrontBackend.get_invalidation = with_a_look
create_invalidation = cloudfront_models.CloudFrontBackend.create_invalidation


class InvalidationBatchAlreadyExists(ServiceException):
    code = "InvalidationBatchAlreadyExists"
    message = "Your request contains a caller reference that was used for a previous invalidation batch."


class TooManyInvalidationsInProgress(ServiceException):
    code = "TooManyInvalidationsInProgress"
    message = "Processing your request will cause you to exceed the maximum number of in-progress wildcard invalidations."


def wildcards(paths):
    return sum(path.endswith("*") for path in paths)


def refuse_too_many_wildcards(backend, dist_id, paths):
    """moto has no limit for paths with a wildcard. Whoever is refused comes again when those before are completed."""
    in_progress = [i for i in backend.invalidations.get(dist_id, []) if i.status != "Completed" and wildcards(i.paths)]
    if wildcards(paths) and sum(wildcards(i.paths) for i in in_progress) + wildcards(paths) > MAX_WILDCARDS:
        for invalidation in in_progress:
            invalidation.looks = LOOKS_IN_PROGRESS + 1
        raise TooManyInvalidationsInProgress()


def with_caller_references(backend, dist_id, paths, caller_ref):
    """A caller reference is good for one set of paths, and returns the invalidation that it made before."""
    for old in backend.invalidations.get(dist_id, []):
        if old.caller_ref == caller_ref:
            if old.paths == paths:
                return old
            raise InvalidationBatchAlreadyExists()
    refuse_too_many_wildcards(backend, dist_id, paths)
    return create_invalidation(backend, dist_id, paths, caller_ref)


cloudfront_models.CloudFrontBackend.create_invalidation = with_caller_references


class QuietHandler(MotoRequestHandler):
    def log(self, *_):
        pass


class Traffic:
    """The requests to one service, and the gates that hold them."""

    def __init__(self):
        self.requests = []
        self.gates = []
        self.changed = threading.Condition()

    def arrives(self, entry):
        """Logs a request, and returns when no gate holds it any more."""
        entry.update(status=None, answered=False)
        with self.changed:
            self.requests.append(entry)
            self.held(entry, "request")

    def has_effect(self, entry):
        """Returns when no gate holds the answer any more."""
        with self.changed:
            self.held(entry, "answer")

    def is_answered(self, entry):
        with self.changed:
            entry["answered"] = True
            self.changed.notify_all()

    def held(self, entry, at):
        for gate in list(self.gates):
            if gate.at == at and gate.matches(entry):
                gate.seen += 1
                if gate.seen > gate.skip:
                    gate.held.append(entry)
                    self.changed.notify_all()
                    turn = len(gate.held)
                    self.changed.wait_for(lambda: gate.is_open or gate.permits >= turn or gate.finds(self.requests, entry))

    def wait_for(self, condition, what):
        with self.changed:
            if not self.changed.wait_for(condition, PATIENCE_SECONDS):
                raise TimeoutError(f"{what}: the requests are {[(r['method'], r['path'], r['answered']) for r in self.requests]}")


class Gate:
    """Holds requests before they take effect, or their answers, until it is opened or lets them through one by one."""

    def __init__(self, before, methods=None, path="", via=None, skip=0, at="request", until_read=False):
        self.methods, self.path, self.via, self.skip, self.at = methods, path, via, skip, at
        # A request is let through when the same path has been read as often as it was requested here.
        self.until_read = until_read
        self.before = before
        self.seen = 0
        self.held = []
        self.permits = 0
        self.is_open = False

    def matches(self, entry):
        # A write on a condition that cannot hold finds out whether conditions are heeded; it is part of no order.
        return not entry.get("is_impossible") and (self.methods is None or entry["method"] in self.methods) and self.path in entry["path"] and self.via in (None, entry["via"])

    def finds(self, requests, entry):
        if not self.until_read:
            return False
        path = without_query(entry)
        turn = sum(without_query(held) == path for held in self.held[: self.held.index(entry) + 1])
        # Of what was just stored, a run reads a byte, for its headers.
        read = sum(r["method"] == "GET" and r.get("is_whole") and r["answered"] and without_query(r) == path for r in requests[self.before :])
        return read >= turn


def without_query(entry):
    return entry["path"].split("?")[0]


def until_sent(parts, sent):
    """What an answer consists of. `sent` is called when all of it is written, or cannot be."""
    try:
        yield from parts
    finally:
        sent()


application = DomainDispatcherApplication(create_backend_app)
worlds = {}
connections = {}
numbers = itertools.count(1)


# By which CloudFront's answers are known.
CLOUDFRONT_HEADERS = {"Via": "1.1 1a2b3c.cloudfront.net (CloudFront)", "X-Amz-Cf-Id": "TESTREQUEST"}


class World:
    """What one test or demo works in."""

    def __init__(self):
        self.number = next(numbers)
        self.bucket = f"acme-{self.number}"
        self.user = f"publisher-{self.number}"
        self.faults = []
        self.aws, self.cdn = Traffic(), Traffic()
        self.edge_cache = {}
        self.edge_is_stale = False
        self.edge_headers = CLOUDFRONT_HEADERS
        # Whether the cache key has the query string.
        self.edge_caches_queries = False
        # What a store that is not AWS's does otherwise: it ignores the conditions of a write, drops these headers of an object,
        # or answers without these headers.
        self.ignores_conditions = False
        self.is_suspended = False
        self.drops_headers = []
        self.omits_headers = []
        # Statements of the bucket's policy that deny an action on all but some resources.
        self.denied_by_bucket_policy = []
        # The ARN of the customer managed key that the bucket encrypts with.
        self.kms_key = None
        self.lock = threading.Lock()
        self.uploads = threading.Lock()
        s3.create_bucket(self.bucket, REGION)
        user = iam.create_user(REGION, self.user)
        self.user_arn = user.arn
        self.key = iam.create_access_key(self.user)
        self.distributions = [self.new_distribution()]
        self.endpoint = f"http://{serve(self.respond)}"
        self.edge = f"http://{serve(self.respond_as_edge)}"
        self.endpoints = itertools.count(1)

    def new_distribution(self):
        config = {
            "CallerReference": f"{self.number}-{time.monotonic_ns()}",
            "Comment": "",
            "Enabled": True,
            "Origins": {"Items": [{"Id": "s3", "DomainName": f"{self.bucket}.s3.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}]},
            "DefaultCacheBehavior": {"TargetOriginId": "s3", "ViewerProtocolPolicy": "redirect-to-https"},
        }
        distribution, _, _ = cloudfront.create_distribution(config, [])
        return distribution.id

    def respond(self, environ, start_response, via=0):
        """AWS, as far as this world is concerned. `via` is the number of the address where it was reached."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        environ["wsgi.input"] = Replay(body)
        method, path = environ["REQUEST_METHOD"], environ["RAW_URI"]
        entry = {
            "method": method,
            "path": path,
            "via": via,
            "authorization": environ.get("HTTP_AUTHORIZATION", ""),
            "security_token": environ.get("HTTP_X_AMZ_SECURITY_TOKEN", ""),
            "body": body.decode("utf-8", "replace") if method == "POST" else "",
            "is_impossible": environ.get("HTTP_IF_MATCH") == '"none"',
            "is_whole": "HTTP_RANGE" not in environ,
        }
        self.aws.arrives(entry)

        def start(status, headers, exc_info=None):
            entry["status"] = int(status.split()[0])
            headers = [(name, value) for name, value in headers if name.lower() not in self.omits_headers]
            if self.is_suspended and method == "PUT":
                headers = [(name, "null" if name.lower() == "x-amz-version-id" else value) for name, value in headers]
            return start_response(status, headers, exc_info)

        try:
            parts = self.answer(environ, start, body)
        except BaseException:
            self.aws.is_answered(entry)
            raise
        self.aws.has_effect(entry)
        return until_sent(parts, lambda: self.aws.is_answered(entry))

    def answer(self, environ, start, body):
        method, path = environ["REQUEST_METHOD"], environ["RAW_URI"]
        with self.lock:
            fault = next((fault for fault in self.faults if matches(fault, method, path)), None)
            if fault:
                fault["times"] -= 1
        if fault and fault.get("after"):
            # The request takes effect, and its answer is replaced.
            list(application(environ, lambda *_: lambda _: None))
        if fault and fault.get("hang_up"):
            hang_up(environ)
        if fault and fault.get("status"):
            headers = {"x-amz-request-id": "TESTREQUEST", "x-amz-id-2": "TESTHOST", **fault.get("headers", {})}
            return answer(start, fault["status"], headers, fault.get("body", ""))
        problem = integrity_problem(environ, body)
        if problem:
            error = f"<Error><Code>{problem}</Code><Message>The content is not what was announced.</Message></Error>"
            return answer(start, 400, {"Content-Type": "application/xml"}, error)
        if path == "/" or path.startswith("/2020-05-31/"):
            return with_flat_errors(environ, start)
        if method == "PUT":
            # S3 checks an upload's condition and stores it in one; moto lets another upload in between.
            with self.uploads:
                parts = application(environ, start)
                if self.is_suspended:
                    as_null_version(self.bucket, unquote(path.split("?")[0]).removeprefix(f"/{self.bucket}/"))
                stored = s3.buckets[self.bucket].keys.get(unquote(path.split("?")[0]).removeprefix(f"/{self.bucket}/"))
                for header in self.drops_headers if stored else []:
                    stored.metadata.pop(header, None)
                return parts
        return application(environ, start)

    def respond_as_edge(self, environ, start_response):
        """A CloudFront edge: keeps what it fetched until the path is invalidated."""
        uri = environ["RAW_URI"]
        path = uri.split("?")[0]
        entry = {"method": environ["REQUEST_METHOD"], "path": path, "via": 0}
        self.cdn.arrives(entry)

        def start(status, headers):
            return start_response(status, headers + list(self.edge_headers.items()))

        parts = self.answer_as_edge(uri if self.edge_caches_queries else path, start)
        if entry["method"] == "HEAD":
            parts = []
        self.cdn.has_effect(entry)
        return until_sent(parts, lambda: self.cdn.is_answered(entry))

    def answer_as_edge(self, path, start_response):
        if self.edge_is_stale:
            seen = None
        else:
            # CloudFront's edges drop a path when its invalidation is completed.
            made = [i for d in self.distributions for i in cloudfront.invalidations.get(d, []) if is_invalidated(path, i.paths)]
            for invalidation in made:
                invalidation.looks += 1
            seen = {invalidation.id for invalidation in made if invalidation.status == "Completed"}
        cached, at, seen_then = self.edge_cache.get(path, (None, 0, set()))
        hit = cached is not None and (seen is None or seen == seen_then)
        if not hit:
            key = s3.buckets[self.bucket].keys.get(unquote(path.split("?")[0].lstrip("/")))
            # A delete marker has no value.
            if not hasattr(key, "value"):
                return answer(start_response, 403, {"Content-Type": "application/xml"}, "<Error><Code>AccessDenied</Code></Error>")
            # moto keeps the hash that signed the content among the headers.
            metadata = {name.title(): value for name, value in key.metadata.items() if name != "x-amz-content-sha256"}
            passed_on = ("ETag", "last-modified", "x-amz-version-id")
            metadata.update({name: value for name, value in key.response_dict.items() if name in passed_on})
            cached, at = (metadata, key.value), time.monotonic()
            self.edge_cache[path] = (cached, at, seen or set())
        headers, content = cached
        headers = {**headers, "X-Cache": "Hit from cloudfront" if hit else "Miss from cloudfront"}
        if hit:
            headers["Age"] = str(int(time.monotonic() - at))
        return answer(start_response, 200, headers, content)


def is_invalidated(path, paths):
    """A path is exact, with its query string where the cache key has it, unless it ends with a wildcard."""
    return any(path.startswith(of[:-1]) if of.endswith("*") else path == of for of in paths)


def as_null_version(bucket, key):
    """What is stored while versioning is suspended replaces the version `null`, and keeps all others."""
    kept = s3.buckets[bucket].keys.getlist(key)
    if kept and kept[-1].version_id != "null":
        kept[-1]._version_id = "null"
        s3.buckets[bucket].keys.setlist(key, [it for it in kept[:-1] if it.version_id != "null"] + kept[-1:])


def with_flat_errors(environ, start):
    """moto puts the errors of CloudFront and STS into one element too many."""
    sent = []
    body = b"".join(application(environ, lambda status, headers, exc_info=None: sent.append((status, headers))))
    (status, headers), = sent
    body = body.replace(b"<Errors>", b"").replace(b"</Errors>", b"")
    start(status, [(name, value) for name, value in headers if name.lower() != "content-length"] + [("Content-Length", str(len(body)))])
    return [body]


class Replay:
    """A request's body that was read once already."""

    def __init__(self, body):
        self.body = body

    def read(self, size=-1):
        if size < 0:
            size = len(self.body)
        part, self.body = self.body[:size], self.body[size:]
        return part

    def readline(self, size=-1):
        return self.read(size)


def matches(fault, method, path):
    return fault["times"] > 0 and fault["method"] == method and fault["path"] in path


def integrity_problem(environ, body):
    """moto stores what it gets; S3 compares it with the checksums that come with it."""
    signed = environ.get("HTTP_X_AMZ_CONTENT_SHA256", "")
    if re.fullmatch("[0-9a-f]{64}", signed) and hashlib.sha256(body).hexdigest() != signed:
        return "XAmzContentSHA256Mismatch"
    checksum = environ.get("HTTP_X_AMZ_CHECKSUM_SHA256")
    if checksum and base64.b64encode(hashlib.sha256(body).digest()).decode() != checksum:
        return "BadDigest"
    return None


def answer(start_response, status, headers, body):
    content = body.encode() if isinstance(body, str) else body
    headers = {**headers, "Content-Length": str(len(content))}
    start_response(f"{status} {HTTPStatus(status).phrase}", list(headers.items()))
    return [content]


def hang_up(environ):
    """Ends the connection without an answer."""
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError


class Connections:
    """Counts what a server has accepted and not yet closed."""

    def __init__(self, server):
        self.address, self.accepted, self.open = server.server_address, set(), 0
        self.changed = threading.Condition()
        process, shutdown = server.process_request, server.shutdown_request

        def process_request(request, address):
            with self.changed:
                self.accepted.add(address)
                self.open += 1
            process(request, address)

        def shutdown_request(request):
            shutdown(request)
            with self.changed:
                self.open -= 1
                self.changed.notify_all()

        server.process_request, server.shutdown_request = process_request, shutdown_request

    def wait_until_closed(self):
        # Connections are accepted in their order, so that none from before is left when this one is.
        with socket.create_connection(self.address[:2]) as last:
            address = last.getsockname()
        with self.changed:
            if not self.changed.wait_for(lambda: address in self.accepted and self.open == 0, PATIENCE_SECONDS):
                raise TimeoutError(f"{self.open} connections are still open")


def serve(respond, ssl_context=None):
    """Listens on a port of its own, and returns the port's address."""
    server = make_server("127.0.0.1", 0, respond, threaded=True, request_handler=QuietHandler, ssl_context=ssl_context)
    server.log = lambda *_: None
    address = f"127.0.0.1:{server.server_address[1]}"
    connections[address] = Connections(server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return address


def make_world():
    world = World()
    worlds[world.number] = world
    return {
        "id": world.number,
        "endpoint": world.endpoint,
        "edge": world.edge,
        "bucket": world.bucket,
        "region": REGION,
        "account": ACCOUNT,
        "user_arn": world.user_arn,
        "access_key_id": world.key.access_key_id,
        "secret_access_key": world.key.secret_access_key,
        "distribution": world.distributions[0],
    }


def set_policy(world, statements):
    policy = {"Version": "2012-10-17", "Statement": statements}
    iam.put_user_policy(world.user, "policy", json.dumps(policy))


def add_distribution(world):
    world.distributions.append(world.new_distribution())
    return world.distributions[-1]


def add_role(world, statements):
    name = f"role-{world.number}"
    role = iam.create_role(name, "{}", "/", None, "", [], None)
    iam.put_role_policy(name, "policy", json.dumps({"Version": "2012-10-17", "Statement": statements}))
    return role.arn


def add_identity_provider(world, issuer, audiences):
    iam.create_open_id_connect_provider(issuer, ["a" * 40], audiences, [])


def set_trust(world, role, policy):
    iam.update_assume_role_policy(role.rsplit("/", 1)[1], json.dumps(policy))


def put_object(world, key, body, metadata):
    s3.put_object(world.bucket, key, base64.b64decode(body)).set_metadata(metadata)


def fill_with_versions(world, keys, count):
    """So many versions of each key, one a minute, the last one now."""
    # Not by moto's `put_object`, which takes the longer the more there are.
    for key in keys:
        versions = []
        for number in range(1, count + 1):
            content = f"Mojito.addTest({{id:'{number}'}})".encode()
            version = FakeKey(key, content, ACCOUNT, REGION, is_versioned=True, version_id=str(uuid.uuid4()), bucket_name=world.bucket)
            version.set_metadata({"x-amz-meta-build-number": str(number), "x-amz-meta-commit": hashlib.sha1(content).hexdigest()})
            version.last_modified -= datetime.timedelta(minutes=count - number)
            versions.append(version)
        s3.buckets[world.bucket].keys.setlist(key, versions)


def objects(world):
    keys = s3.buckets[world.bucket].keys
    return [
        {
            "key": name,
            "headers": {name: value for name, value in key.metadata.items() if name != "x-amz-content-sha256"},
            "acl": [str(grant) for grant in key.acl.grants] if key.acl else [],
            "checksum_algorithm": key.checksum_algorithm,
            "body": base64.b64encode(key.value).decode(),
        }
        for name, key in sorted(keys.items())
        if hasattr(key, "value")
    ]


def set_versioning(world, status):
    # moto forgets all versions at the next upload to a bucket whose versioning is suspended.
    world.is_suspended = status == "Suspended"
    s3.put_bucket_versioning(world.bucket, "Enabled" if world.is_suspended else status)


def delete_object(world, key):
    s3.delete_object(world.bucket, key)


def versions(world, key):
    """Oldest first."""
    return [
        {"id": made.version_id or "null", "build": made.metadata.get("x-amz-meta-build-number") if hasattr(made, "value") else None}
        for made in s3.buckets[world.bucket].keys.getlist(key)
    ]


def multipart_uploads(world):
    return [upload.key_name for upload in s3.buckets[world.bucket].multiparts.values()]


def invalidations(world):
    return [
        {"distribution": distribution, "id": made.id, "caller_reference": made.caller_ref, "paths": made.paths}
        for distribution in world.distributions
        for made in cloudfront.invalidations.get(distribution, [])
    ]


def add_fault(world, **fault):
    with world.lock:
        world.faults.append({"times": 1, **fault})


def requests(world):
    with world.aws.changed:
        return [dict(entry) for entry in world.aws.requests]


def add_endpoint(world):
    """One more address of the same world, by whose number its requests are known from others."""
    number = next(world.endpoints)
    return {"number": number, "address": f"http://{serve(functools.partial(world.respond, via=number))}"}


def traffic(world, cdn):
    return world.cdn if cdn else world.aws


def add_gate(world, cdn=False, **gate):
    of = traffic(world, cdn)
    with of.changed:
        of.gates.append(Gate(len(of.requests), **gate))
        return len(of.gates) - 1


def wait_for_held(world, gate, count=1, cdn=False):
    """Until the gate has held so many requests, whether or not it let them through since."""
    of = traffic(world, cdn)
    of.wait_for(lambda: len(of.gates[gate].held) >= count, "nothing was held")


def is_holding(world, gate, cdn=False):
    """Whether the gate holds a request now."""
    of = traffic(world, cdn)
    with of.changed:
        gate = of.gates[gate]
        return not gate.is_open and len(gate.held) > gate.permits


def let_through(world, gate, cdn=False):
    """One request; those after it are held."""
    of = traffic(world, cdn)
    with of.changed:
        of.gates[gate].permits += 1
        of.changed.notify_all()


def open_gate(world, gate, cdn=False):
    of = traffic(world, cdn)
    with of.changed:
        of.gates[gate].is_open = True
        of.changed.notify_all()


def wait_for_responses(world, method, path, count):
    def are_answered():
        return sum(r["answered"] and r["method"] == method and path in r["path"] for r in world.aws.requests) >= count

    world.aws.wait_for(are_answered, f"{count} answers to {method} {path} did not come")


def wait_for_all_responses(world):
    world.aws.wait_for(lambda: all(r["answered"] for r in world.aws.requests), "not all is answered")


def wait_until_disconnected(world):
    """Until all that a client has sent, which has ended since, has taken effect."""
    for address in (world.endpoint, world.edge):
        connections[address.removeprefix("http://")].wait_until_closed()


def set_edge_stale(world, stale):
    world.edge_is_stale = stale


def set_edge_headers(world, headers):
    """Of another CDN in CloudFront's place."""
    world.edge_headers = headers


def set_store(world, ignores_conditions=False, drops_headers=(), omits_headers=()):
    world.ignores_conditions, world.drops_headers, world.omits_headers = ignores_conditions, drops_headers, omits_headers


def set_bucket_policy(world, denied):
    world.denied_by_bucket_policy = denied


def set_kms_key(world, key):
    world.kms_key = key


def version_of(world, key):
    return s3.buckets[world.bucket].keys[key].version_id


def edge_requests(world):
    with world.cdn.changed:
        return [dict(entry) for entry in world.cdn.requests]


def make_administrator(world):
    """Keys of somebody who may do everything, as whoever sets up an account must."""
    name = f"administrator-{world.number}"
    iam.create_user(REGION, name)
    statements = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
    iam.put_user_policy(name, "policy", json.dumps({"Version": "2012-10-17", "Statement": statements}))
    key = iam.create_access_key(name)
    return {"access_key_id": key.access_key_id, "secret_access_key": key.secret_access_key}


def what_the_user_may_do(world, key, distribution):
    session = boto3.Session(world.key.access_key_id, world.key.secret_access_key, region_name=REGION)
    return what_is_allowed(session, world, key, distribution)


def what_the_session_may_do(world, role, key, distribution):
    """Of the session that was made last for the role."""
    made = [made for made in sts.assumed_roles if made.role_arn == role][-1]
    session = boto3.Session(made.access_key_id, made.secret_access_key, made.session_token, region_name=REGION)
    return what_is_allowed(session, world, key, distribution)


def what_is_allowed(session, world, key, distribution):
    """Tries what a publishing user has no business with, and the one thing that it has; returns what was allowed."""

    def client(service):
        return session.client(service, endpoint_url=world.endpoint, config=Config(retries={"total_max_attempts": 1}))

    s3, cdn, iam = client("s3"), client("cloudfront"), client("iam")
    folder, file = key.rsplit("/", 1)
    bucket = {"Bucket": world.bucket}
    own = {**bucket, "Key": key}
    batch = {"Paths": {"Quantity": 1, "Items": ["/*"]}, "CallerReference": "tried"}
    attempts = {
        "put the container": lambda: s3.create_multipart_upload(**own),
        "put a neighbour": lambda: s3.put_object(**bucket, Key=key.replace(".js", "x.js")),
        "put a longer name": lambda: s3.put_object(**bucket, Key=key + ".map"),
        "put a shorter name": lambda: s3.put_object(**bucket, Key=key[:-1]),
        "put another case": lambda: s3.put_object(**bucket, Key=key.upper()),
        "put below the key": lambda: s3.put_object(**bucket, Key=key + "/x"),
        "put the other environment's": lambda: s3.put_object(**bucket, Key=("js/" if folder == "jsdev" else "jsdev/") + file),
        "put into another folder": lambda: s3.put_object(**bucket, Key="other/" + file),
        "put into the root": lambda: s3.put_object(**bucket, Key=file),
        "get the container": lambda: s3.get_object(**own),
        "head the container": lambda: s3.head_object(**own),
        "delete the container": lambda: s3.delete_object(**own),
        "put an ACL": lambda: s3.put_object_acl(**own, ACL="public-read"),
        "get the ACL": lambda: s3.get_object_acl(**own),
        "tag the container": lambda: s3.put_object_tagging(**own, Tagging={"TagSet": []}),
        "list the bucket": lambda: s3.list_objects_v2(**bucket),
        "list all buckets": lambda: s3.list_buckets(),
        "get the bucket's policy": lambda: s3.get_bucket_policy(**bucket),
        "put a bucket policy": lambda: s3.put_bucket_policy(**bucket, Policy="{}"),
        "delete the bucket": lambda: s3.delete_bucket(**bucket),
        "make a bucket": lambda: s3.create_bucket(Bucket=world.bucket + "-2"),
        "invalidate another distribution": lambda: cdn.create_invalidation(DistributionId=distribution, InvalidationBatch=batch),
        "list the invalidations": lambda: cdn.list_invalidations(DistributionId=world.distributions[0]),
        "get the distribution": lambda: cdn.get_distribution(Id=world.distributions[0]),
        "list the distributions": lambda: cdn.list_distributions(),
        "make itself a key": lambda: iam.create_access_key(UserName=world.user),
        "change its own policy": lambda: iam.put_user_policy(UserName=world.user, PolicyName="more", PolicyDocument="{}"),
    }
    if s3_backend.get_bucket_versioning(world.bucket):
        version = versions(world, key)[-1]["id"]
        attempts |= {
            "list the versions": lambda: s3.list_object_versions(**bucket, Prefix=key),
            "list the versions of all that begins so": lambda: s3.list_object_versions(**bucket, Prefix=key[:-1]),
            "list all versions": lambda: s3.list_object_versions(**bucket),
            "get a version": lambda: s3.get_object(**own, VersionId=version),
            "get a neighbour's version": lambda: s3.get_object(**bucket, Key=key.replace(".js", "x.js"), VersionId=version),
            "delete a version": lambda: s3.delete_object(**own, VersionId=version),
            "suspend versioning": lambda: s3.put_bucket_versioning(**bucket, VersioningConfiguration={"Status": "Suspended"}),
        }
    allowed = []
    for name, attempt in attempts.items():
        try:
            attempt()
            allowed.append(name)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 403:
                raise
    return allowed


def make_certificate(world, host="127.0.0.1", expired=False):
    """A certificate that is signed by itself, and is for one host alone; with its key, as PEM."""
    certificate, key = generate_adhoc_ssl_pair(host)
    address = x509.IPAddress(ipaddress.ip_address(host))
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if expired:
        start, end = (date - datetime.timedelta(days=3 * 365) for date in (start, end))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(certificate.subject)
        .issuer_name(certificate.subject)
        .public_key(key.public_key())
        .serial_number(certificate.serial_number)
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return {"certificate": certificate.public_bytes(Encoding.PEM).decode(), "key": private.decode()}


def serve_tls(world, host="127.0.0.1", expired=False):
    """Listens with TLS as well."""
    made = make_certificate(world, host, expired)
    with tempfile.TemporaryDirectory() as directory:
        paths = [os.path.join(directory, name) for name in ("certificate", "key")]
        for path, content in zip(paths, made.values()):
            with open(path, "w") as file:
                file.write(content)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*paths)
    return {"endpoint": f"https://{serve(world.respond, context)}", "certificate": made["certificate"]}


def visit(world, path):
    """What a visitor gets, still compressed."""
    return base64.b64encode(urlopen(world.edge + path).read()).decode()


def set_edge_caches_queries(world, caches):
    world.edge_caches_queries = caches


COMMANDS = {
    command.__name__: command
    for command in (
        set_policy, make_administrator, make_certificate, add_role, add_identity_provider, set_trust, add_distribution, put_object, add_fault, set_edge_stale,
        set_edge_headers, set_edge_caches_queries, set_store, set_versioning, fill_with_versions, delete_object, versions, set_kms_key, version_of,
        set_bucket_policy, edge_requests,
        visit, serve_tls, objects, multipart_uploads, invalidations, requests, what_the_user_may_do, what_the_session_may_do,
        add_endpoint, add_gate, is_holding, let_through, open_gate,
    )
}
# These wait, and no other command waits for them.
WAITS = {command.__name__: command for command in (wait_for_held, wait_for_responses, wait_for_all_responses, wait_until_disconnected)}
output = threading.Lock()


def carry_out(number, command, request):
    try:
        if command == "make_world":
            answer = {"result": make_world()}
        else:
            answer = {"result": {**COMMANDS, **WAITS}[command](worlds[request.pop("world")], **request)}
    except Exception as error:  # the test whose command it was fails with it
        answer = {"error": f"{type(error).__name__}: {error}"}
    with output:
        print(json.dumps({"number": number, **answer}), flush=True)


def main():
    for line in sys.stdin:
        request = json.loads(line)
        arguments = (request.pop("number"), request.pop("command"), request)
        if arguments[1] in WAITS:
            threading.Thread(target=carry_out, args=arguments, daemon=True).start()
        else:
            carry_out(*arguments)


main()

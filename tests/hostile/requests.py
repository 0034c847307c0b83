"""All hostile requests, by what they are about; the status that each one gets stands beside it."""

from tests.hostile import bodies, fields, framing, targets
from tests.hostile.shapes import Hostile

ABOUT: dict[str, list[Hostile]] = {
    "lengths": framing.LENGTHS,
    "transfer codings": framing.CODINGS,
    "chunks": framing.CHUNKS,
    "lines": framing.LINES,
    "methods and versions": targets.METHODS,
    "targets": targets.TARGETS,
    "paths": targets.PATHS,
    "queries": targets.QUERIES,
    "sizes of fields": fields.SIZES,
    "expectations": fields.EXPECTATIONS,
    "idempotency keys": fields.KEYS,
    "authorization": fields.AUTHORIZATION,
    "origins": fields.ORIGINS,
    "what is logged": fields.LOGGED,
    "types of bodies": bodies.TYPES,
    "JSON": bodies.SYNTAX,
    "comments": bodies.VALUES,
}
HOSTILE = [each for group in ABOUT.values() for each in group]

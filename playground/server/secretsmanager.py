"""Secrets Manager: generated secrets that keep every option of GenerateSecretString."""

import json
import secrets
import string

from ministack.services.cloudformation import provisioners

from playground.server.patching import Record, patch

CLASSES = {
    "ExcludeLowercase": string.ascii_lowercase,
    "ExcludeUppercase": string.ascii_uppercase,
    "ExcludeNumbers": string.digits,
    "ExcludePunctuation": string.punctuation,
}

stock_secret_string = provisioners._sm_secret_string


@patch(provisioners, "_sm_secret_string", gap="only ExcludeCharacters is heeded, and the generator is predictable")
def secret_string(properties: Record) -> str:
    options = properties.get("GenerateSecretString")
    if not options or properties.get("SecretString"):
        return str(stock_secret_string(properties))
    allowed = [characters for option, characters in CLASSES.items() if str(options.get(option)).lower() != "true"]
    excluded = options.get("ExcludeCharacters", "")
    alphabets = [[one for one in characters if one not in excluded] for characters in allowed]
    if str(options.get("IncludeSpace")).lower() == "true":
        alphabets.append([" "])
    everything = [one for alphabet in alphabets for one in alphabet]
    # AWS: RequireEachIncludedType is the default
    chosen = [secrets.choice(alphabet) for alphabet in alphabets if alphabet]
    length = int(options.get("PasswordLength", 32))
    chosen += [secrets.choice(everything) for _ in range(length - len(chosen))]
    secrets.SystemRandom().shuffle(chosen)
    generated = "".join(chosen)
    if template := options.get("SecretStringTemplate"):
        return json.dumps({**json.loads(template), options["GenerateStringKey"]: generated})
    return generated

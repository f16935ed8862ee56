"""The pages of the reference, from abi/api.json: one for each section of the headers, with the functions and the types that they use.

Promise: each function, type, field and constant of the description has one entry, and each macro of the header that programs write.
"""

import re

import bindings

FOLDER = "docs/reference"
# What `ownership` in the description means to the caller.
OWNERSHIP = {
    "call": "used until the call returns",
    "kept": "used longer, and stays yours",
    "moved": "the library's after success",
    "ended": "ended by this call",
    "caller": "yours to end",
    "library": "stays the library's",
}
UNITS = {"_bytes": "bytes", "_ns": "nanoseconds"}
GUARDS = {"TENURE_H", "TENURE_BINDINGS_H"}
# What the header itself needs of the preprocessor.
INTERNAL = {"TN_ENUM", "TN_POINTER"}


def pages(root, description):
    """The text of each page, by its path."""
    places = sections_of_types(description)
    made = {f"{FOLDER}/index.md": index(root, description)}
    others = bindings.names(root)
    for section in description["sections"]:
        name = section["name"]
        text = [f"# {name}\n\n{markdown(sentence(section['doc']))} Declared in `{section['header']}`.\n"]
        functions = [f for f in description["functions"] if f["section"] == name]
        text.append("\n## Functions\n" if functions else "")
        text += [function(f, others.get(f["name"], {})) for f in functions]
        types = [t for kind in TYPES for t in kind(description, places, name)]
        text.append("\n## Types and constants\n" if types else "")
        text += types
        if name == "library":
            text += [constant_macro(c) for c in description["constants"]]
            text += macros(root, {c["name"] for c in description["constants"]})
        made[f"{FOLDER}/{name}.md"] = "".join(text)
    return made


def sections_of_types(description):
    """The section of each type: the first one with a function that uses it. One that no function uses is in the first."""
    places = {}
    by_name = {t["name"]: t for kind in ("structs", "callbacks") for t in description[kind]}

    def used(item, section):
        if isinstance(item, dict):
            name = item.get("name")
            if item.get("kind") in ("family", "struct", "handle", "callback") and name not in places:
                places[name] = section
                used(by_name.get(name, {}).get("fields", []), section)
                used(by_name.get(name, {}).get("parameters", []), section)
                used(by_name.get(name, {}).get("returns", {}), section)
            for value in item.values():
                used(value, section)
        elif isinstance(item, list):
            for value in item:
                used(value, section)

    for section in (s["name"] for s in description["sections"]):
        used([[f["parameters"], f["returns"]] for f in description["functions"] if f["section"] == section], section)
    # A family that no signature has is one of flags of a struct or of several families: it stands where its first name occurs.
    rest = [t["name"] for kind in ("families", "handles", "callbacks", "structs") for t in description[kind]]
    return {name: places.get(name, description["sections"][0]["name"]) for name in rest}


def markdown(text):
    """A comment of the header as Markdown: only names between backticks and paragraphs have a meaning."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([*<\[|])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


def sentence(text):
    return text[:1].upper() + text[1:]


def indented(text, by="  "):
    """The text as the contents of a list item, whose first line is indented too."""
    return "\n".join(by + line if line else "" for line in text.splitlines())


def entry(kind, declaration, body, options=()):
    """A directive of Sphinx's domain of C. Nested ones have shorter fences."""
    fence = "`" * (3 + 2 * ("```" in body))
    lines = "".join(f":{option}:\n" for option in options)
    return f"\n{fence}{{c:{kind}}} {declaration}\n{lines}\n{body.strip()}\n{fence}\n"


def facts(parameter):
    """Direction, NULL, ownership and unit of a parameter, in words."""
    is_pointer = "pointer_to" in parameter["type"] or parameter["type"].get("kind") == "callback"
    told = [{"in": "in", "out": "output", "inout": "in and out"}[parameter["direction"]]]
    if is_pointer:
        told.append("may be NULL" if parameter["nullable"] else "not NULL")
    if length := parameter.get("length"):
        told.append(f"`{length}` items" if length != "bytes" and not length.endswith("_bytes") else f"`{length}` bytes")
    if owner := parameter.get("ownership"):
        ended = " or ".join(f"`{name}`" for name in parameter.get("released_by", []))
        until = parameter.get("valid_until")
        told.append(OWNERSHIP[owner] + (f" by {ended}" if ended else "") + (f", valid until {until}" if until else ""))
    told += [unit for ending, unit in UNITS.items() if parameter["name"].endswith(ending)]
    return "; ".join(told)


def function(described, elsewhere):
    body = [markdown(described["doc"]), ""]
    if described["parameters"]:
        listed = [f"  - **{p['name']}** *({facts(p)})*\\\n{indented(markdown(p['doc']), '    ')}" for p in described["parameters"]]
        body.append(":Parameters:\n" + "\n".join(listed))
    if returned := described["returns"].get("doc"):
        body.append(f":Returns:\n{indented(markdown(returned))}")
    for key in ("threads", "blocks", "allocates"):
        if key in described:
            body.append(f":{key.capitalize()}:\n{indented(markdown(sentence(described[key])))}")
    if elsewhere:
        callers = (f"{language} {', '.join(f'`{name}`' for name in names)}" for language, names in elsewhere.items())
        body.append(f":Called by: {'; '.join(callers)}")
    body.append(f":Since: {described['since']}")
    return entry("function", described["c"], "\n".join(body))


def number(value):
    """Large values as the header has them, in hexadecimal."""
    return str(value) if abs(value) < 1024 else hex(value)


def families(description, places, section):
    seen = set()
    for family in description["families"]:
        again = {c["name"] for c in family["constants"]} & seen
        seen |= {c["name"] for c in family["constants"]}
        if places[family["name"]] != section:
            continue
        # The names of constants are global, not within their type.
        body = markdown(family["doc"]) + "\n\n```{c:namespace} NULL\n```\n"
        for constant in family["constants"]:
            # A constant of two families has its entry at the first.
            options = ["no-index"] if constant["name"] in again else []
            body += entry("enumerator", f"{constant['name']} = {number(constant['value'])}", markdown(constant["doc"]), options)
        yield entry("type", f"{family['type']['name']} {family['name']}", body)


def handles(description, places, section):
    for handle in description["handles"]:
        if places[handle["name"]] == section:
            yield entry("type", handle["name"], markdown(handle["doc"]))


def spelled(kind):
    """The spelling of a type in C."""
    if "pointer_to" in kind:
        inner = spelled(kind["pointer_to"])
        return f"{'const ' if kind['is_const'] else ''}{inner}{'' if inner.endswith('*') else ' '}*"
    return kind["name"]


def callbacks(description, places, section):
    for callback in description["callbacks"]:
        if places[callback["name"]] == section:
            values = ", ".join(f"{spelled(p['type'])} {p['name']}" for p in callback["parameters"])
            yield entry("type", f"{spelled(callback['returns'])} (*{callback['name']})({values})", markdown(callback["doc"]))


def structs(description, places, section):
    for struct in description["structs"]:
        if places[struct["name"]] != section:
            continue
        grows = "It begins with `size` and can grow. " if struct["is_sized"] else ""
        body = f"{markdown(struct['doc'])}\n\n{grows}{struct['size']} bytes, aligned to {struct['align']}.\n"
        for field in struct["fields"]:
            body += entry("member", field["c"], markdown(field["doc"]))
        yield entry("struct", struct["name"], body)


TYPES = (handles, families, structs, callbacks)


def constant_macro(constant):
    return entry("macro", constant["name"], f"`{number(constant['value'])}`, a `{constant['type']['name']}`. {markdown(constant['doc'])}")


def macros(root, described):
    """The macros of the header with their comments; the description has none of them."""
    header = (root / "include/tenure.h").read_text("utf-8")
    defined = re.compile(r"/\*\*((?:(?!\*/).)*)\*/\s*#define (\w+)(\([^)]*\))?", re.DOTALL)
    seen = INTERNAL | GUARDS | described
    for comment, name, parameters in defined.findall(header):
        if name not in seen:
            seen |= {name}  # some have another definition for other compilers
            text = " ".join(comment.replace("*", " ").split())
            yield entry("macro", name + parameters, markdown(text))


def index(root, description):
    """The overview: what holds for every function, from the head of the header, and the sections."""
    header = (root / "include/tenure.h").read_text("utf-8")
    head = re.search(r"/\*\*\n \* @file tenure\.h\n(.*?)\*/", header, re.DOTALL)[1]
    lines = [line.removeprefix(" *").removeprefix(" ") for line in head.splitlines()]
    # Bold words begin its paragraphs; `TN_ERR_*` is no emphasis.
    rules = "\n".join(lines).split("@", 1)[0].strip().replace("_*", r"_\*")
    entries = "\n".join(f"/{FOLDER}/{section['name']}" for section in description["sections"])
    contents = f"```{{toctree}}\n:hidden:\n:maxdepth: 1\n\n{entries}\n```\n\n"
    text = ["# The C reference\n\n", contents, rules, "\n\n## Sections\n\n| section | functions |\n|---|---|\n"]
    for section in description["sections"]:
        functions = [f["name"] for f in description["functions"] if f["section"] == section["name"]]
        listed = " ".join(f"`{name}`" for name in functions)
        text.append(f"| [{section['name']}]({section['name']}.md): {markdown(section['doc'])} | {listed} |\n")
    return "".join(text)

"""The names in other languages: which functions of each binding call a C function.

They are read from the sources of the bindings by Tree-sitter, those of R by their layout. Only names that programs can write are kept.
"""

import re
from collections import defaultdict

import tree_sitter_cpp
import tree_sitter_fortran
import tree_sitter_go
import tree_sitter_java
import tree_sitter_javascript
import tree_sitter_rust
import tree_sitter_zig
from tree_sitter import Language, Parser

CPP, FORTRAN, GO, JAVA, JAVASCRIPT, RUST, ZIG = (
    Parser(Language(module.language()))
    for module in (
        tree_sitter_cpp,
        tree_sitter_fortran,
        tree_sitter_go,
        tree_sitter_java,
        tree_sitter_javascript,
        tree_sitter_rust,
        tree_sitter_zig,
    )
)
NAME = re.compile(rb"\btn_\w+")
# A function that more of them call is used everywhere, and the list says nothing.
MOST = 8


def names(root):
    """For each C function, the names in each language that call it."""
    found = defaultdict(dict)
    for language, read in READERS.values():
        for function, callers in read(root).items():
            if len(callers) <= MOST:
                found[function][language] = sorted(callers)
    return found


def text(node):
    return node.text.decode()


def walk(node, kinds):
    """The topmost nodes of these kinds."""
    for child in node.children:
        if child.type in kinds:
            yield child
        else:
            yield from walk(child, kinds)


def called(node):
    """The paths that are called within a node."""
    if node.type == "call_expression" and (function := node.child_by_field_name("function")) is not None:
        yield text(function)
    for child in node.children:
        yield from called(child)


def cpp(root):
    found = defaultdict(set)

    def members(node, scope, is_public):
        for child in node.children:
            if child.type == "access_specifier":
                is_public = text(child) == "public"
            elif child.type == "namespace_definition":
                name = text(child.child_by_field_name("name"))
                if name != "detail":
                    members(child.child_by_field_name("body"), [*scope, name], True)
            elif child.type in ("class_specifier", "struct_specifier") and child.child_by_field_name("body") is not None:
                if is_public and child.child_by_field_name("name") is not None:
                    name = text(child.child_by_field_name("name")).split("<")[0]
                    members(child.child_by_field_name("body"), [*scope, name], child.type == "struct_specifier")
            elif child.type == "function_definition":
                declarator = next(walk(child, {"function_declarator"}), None)
                if is_public and declarator is not None:
                    name = text(declarator.child_by_field_name("declarator"))
                    for path in called(child):
                        if path.startswith("tn_"):
                            found[path].add("::".join([*scope, name]))
            elif child.type not in ("enum_specifier", "compound_statement"):
                members(child, scope, is_public)

    for header in sorted((root / "bindings/cpp").glob("*.hpp")):
        members(CPP.parse(header.read_bytes()).root_node, [], True)
    return found


def is_public_rust(function, in_trait):
    return in_trait or any(child.type == "visibility_modifier" and text(child) == "pub" for child in function.children)


def rust(root):
    found = defaultdict(set)
    for source in sorted((root / "bindings/rust/src").glob("*.rs")):
        if source.name == "sys.rs":
            continue
        tree = RUST.parse(source.read_bytes()).root_node
        for item in walk(tree, {"impl_item", "function_item"}):
            if item.type == "function_item":
                scope, trait, functions = "", None, [item]
            else:
                scope = re.sub("<.*", "", text(item.child_by_field_name("type"))) + "::"
                trait = item.child_by_field_name("trait")
                functions = walk(item.child_by_field_name("body"), {"function_item"})
            for function in functions:
                if is_public_rust(function, trait is not None):
                    name = scope + text(function.child_by_field_name("name"))
                    for match in NAME.findall(function.child_by_field_name("body").text):
                        found[match.decode()].add(name)
    return found


def python(root):
    """Methods call functions of api.rs, each of which calls C. Kept are names that the package's stub has."""
    sources = root / "bindings/python/src"
    stub = (root / "bindings/python/python/tenure/__init__.pyi").read_text("utf-8")
    api = defaultdict(set)
    for function in walk(RUST.parse((sources / "api.rs").read_bytes()).root_node, {"function_item"}):
        for path in called(function):
            if path.startswith("tn_"):
                api[text(function.child_by_field_name("name"))].add(path)
    for name, c_name in re.findall(r"(?m)^    fn (\w+)\(.* = (tn_\w+);$", (sources / "api.rs").read_text("utf-8")):
        api[name].add(c_name)
    python_names, items = {}, []
    for source in sorted(sources.rglob("*.rs")):
        attributes = []
        for node in RUST.parse(source.read_bytes()).root_node.children:
            if node.type == "attribute_item":
                attributes.append(text(node))
            elif node.type not in ("line_comment", "block_comment"):
                items.append((node, " ".join(attributes)))
                attributes = []
    for node, attributes in items:
        if node.type == "struct_item" and "pyclass" in attributes:
            name = text(node.child_by_field_name("name"))
            given = re.search(r'name = "(\w+)"', attributes)
            python_names[name] = given[1] if given else name
    declared = declared_in(stub)
    found = defaultdict(set)

    def keep(function, name):
        if name in declared:
            for path in called(function):
                for c_name in api.get(path.removeprefix("api::"), ()) if path.startswith("api::") else ():
                    found[c_name].add(f"tenure.{name}")

    for node, attributes in items:
        if node.type == "impl_item" and "pymethods" in attributes:
            scope = python_names.get(text(node.child_by_field_name("type")))
            for function in walk(node.child_by_field_name("body"), {"function_item"}):
                keep(function, f"{scope}.{text(function.child_by_field_name('name'))}")
        elif node.type == "function_item" and "pyfunction" in attributes:
            keep(node, text(node.child_by_field_name("name")))
    return found


def declared_in(stub):
    """The functions and methods of a stub: `give`, `Array.copy`."""
    declared, scope = set(), None
    for line in stub.splitlines():
        if match := re.match(r"class (\w+)", line):
            scope = match[1]
        elif match := re.match(r"(    )?(?:async )?def (\w+)", line):
            declared.add(f"{scope}.{match[2]}" if match[1] else match[2])
    return declared


def fortran(root):
    """The module's procedures, by the names that they have as parts of a type."""
    source = (root / "bindings/fortran/tenure.f90").read_bytes()
    bound, scope = defaultdict(set), None
    for line in source.decode().splitlines():
        if match := re.match(r"\s*type(?:\s*,[^:]*)?\s*::\s*(\w+)", line):
            scope = match[1]
        elif re.match(r"\s*end type", line):
            scope = None
        elif scope and (match := re.match(r"\s*procedure[^:]*::\s*(\w+)\s*=>\s*(\w+)", line)):
            bound[match[2]].add(f"{scope}%{match[1]}")
    found = defaultdict(set)
    for procedure in walk(FORTRAN.parse(source).root_node, {"subroutine", "function"}):
        statement = procedure.children[0]
        name = text(statement.child_by_field_name("name"))
        for match in NAME.findall(procedure.text):
            found[match.decode()] |= bound.get(name, set())
    return {name: callers for name, callers in found.items() if callers}


def through_helpers(functions, mentioned):
    """The public names, by what they mention. A public function also mentions what the private functions that it calls do. `functions` has for
    each one its public name or None, its own name, and its text; `mentioned` is what a text mentions."""
    helpers, listed = defaultdict(set), []
    for public, name, body in functions:
        calls = set(re.findall(r"(\w+)(?:\[[^]]*\])?\(", body)) - {name}
        listed.append((public, name, mentioned(body), calls))
    known = None
    while known != (known := {name: len(mentions) for name, mentions in helpers.items()}):
        for public, name, mentions, calls in listed:
            if public is None:
                helpers[name] |= mentions.union(*(helpers[call] for call in calls & helpers.keys()))
    found = defaultdict(set)
    for public, _, mentions, calls in listed:
        for mention in mentions.union(*(helpers[call] for call in calls & helpers.keys())) if public else ():
            found[mention].add(public)
    return found


def of_c(body):
    return set(re.findall(NAME.pattern.decode(), body))


def functions_of_c(source):
    """The name and the text of each function."""
    for function in walk(CPP.parse(source).root_node, {"function_definition"}):
        declarator = next(walk(function, {"function_declarator"}))
        yield text(declarator.child_by_field_name("declarator")), text(function)


def go(root):
    """A name that begins with a capital is public. What ends a handle stands where the handle is made. Functions of C stand in comments."""
    functions, ends = [], []
    for path in sorted((root / "bindings/go").glob("*.go")):
        source = path.read_bytes()
        if path.name.endswith("_test.go"):
            continue
        if comment := re.search(rb'((?://.*\n)+)import "C"', source):
            functions += [(None, *function) for function in functions_of_c(re.sub(rb"(?m)^// ?", b"", comment[1]))]
        for node in walk(GO.parse(source).root_node, {"function_declaration", "method_declaration"}):
            name, body = text(node.child_by_field_name("name")), text(node)
            for end in re.findall(r"newHandle\(number\(.*\)", body):
                body = body.replace(end, "")
                result = re.search(r"\w+", text(node.child_by_field_name("result")))[0]
                ends.append((f"{result}.Close", "Close", end))
            receiver = node.child_by_field_name("receiver")
            scope = re.search(r"(\w+)(?:\[\w+\])?\)$", text(receiver))[1] if receiver else "tenure"
            is_public = name[0].isupper() and (receiver is None or scope[0].isupper())
            functions.append((f"{scope}.{name}" if is_public else None, name, body))
    known = {public for public, _, _ in functions}
    return through_helpers(functions + [end for end in ends if end[0] in known], of_c)


def zig(root):
    functions = []

    def members(node, scope, is_public):
        for child in node.children:
            if child.type not in ("variable_declaration", "function_declaration"):
                members(child, scope, is_public)
                continue
            is_pub = is_public and text(child).startswith("pub ")
            name = text(child.child_by_field_name("name") or next(walk(child, {"identifier"})))
            structs = list(walk(child, {"struct_declaration"}))
            for struct in structs:
                members(struct, [*scope, name], is_pub)
            if child.type == "function_declaration" and not structs:
                functions.append((".".join([*scope, name]) if is_pub else None, name, text(child)))

    members(ZIG.parse((root / "bindings/zig/tenure.zig").read_bytes()).root_node, ["tenure"], True)
    return through_helpers(functions, of_c)


def node(root):
    """What is exported, and members without a mark. A constructor names what ends its handle."""
    functions = []
    for statement in JAVASCRIPT.parse((root / "bindings/node/index.js").read_bytes()).root_node.children:
        is_exported = statement.type == "export_statement"
        item = statement.child_by_field_name("declaration") if is_exported else statement
        if item is None:
            continue
        if item.type == "class_declaration":
            scope = text(item.child_by_field_name("name"))
            for method in walk(item, {"method_definition"}):
                name = text(method.child_by_field_name("name"))
                name = "release" if name == "constructor" else name
                functions.append((f"{scope}.{name}" if is_exported and name[0] not in "#_" else None, name.lstrip("#"), text(method)))
        else:
            for named in [item] if item.type == "function_declaration" else walk(item, {"variable_declarator"}):
                name = text(named.child_by_field_name("name"))
                functions.append((name if is_exported else None, name, text(named)))
    return through_helpers(functions, of_c)


def java(root):
    """A constructor names what ends its handle."""
    functions = []

    def members(node, scope, is_public):
        for child in node.children:
            public = is_public and any(c.type == "modifiers" and "public" in text(c).split() for c in child.children)
            if child.type in ("class_declaration", "record_declaration"):
                members(child.child_by_field_name("body"), [*scope, text(child.child_by_field_name("name"))], public)
            elif child.type in ("method_declaration", "constructor_declaration"):
                is_constructor = child.type == "constructor_declaration"
                name = "close" if is_constructor else text(child.child_by_field_name("name"))
                functions.append((".".join([*scope, name]) if public or is_constructor and is_public else None, name, text(child)))

    for source in sorted((root / "bindings/java/tenure").glob("*.java")):
        if source.name != "TenureC.java":
            members(JAVA.parse(source.read_bytes()).root_node, [], True)
    return through_helpers(functions, of_c)


def r(root):
    """Functions of R call those of the package's C, `r_give` as `C_give`. Each begins at the beginning of a line. Two that share one of C have
    the names of both."""
    entries = []
    for source in sorted((root / "bindings/r/src").glob("*.c")):
        for name, body in functions_of_c(source.read_bytes()):
            entries.append((name if name.startswith("r_") else None, name, body))
    mentioned_by = defaultdict(set)
    for name, callers in through_helpers(entries, of_c).items():
        for caller in callers:
            mentioned_by[caller.replace("r_", "C_", 1)].add(name)
    namespace = (root / "bindings/r/NAMESPACE").read_text("utf-8")
    exported = re.search(r'exportPattern\("(.*)"\)', namespace)[1]
    methods = {f"{generic}.{kind}" for generic, kind in re.findall(r'S3method\("?([^",]+)"?, (\w+)\)', namespace)}
    functions = []
    for source in sorted((root / "bindings/r/R").glob("*.R")):
        for name, body in re.findall(r"(?m)^`?([^\s`]+)`? <- (function(?:.*\n(?!\S+ <- |#))*)", source.read_text("utf-8")):
            # With its package, as tn_take is also a function of C.
            public = f"tenure::{name}" if re.search(exported, name) else name if name in methods else None
            functions.append((public, name, body))
    return through_helpers(functions, lambda body: {name for entry in re.findall(r"\bC_\w+", body) for name in mentioned_by[entry]})


# By the folders below `bindings`.
READERS = {
    "cpp": ("C++", cpp),
    "python": ("Python", python),
    "rust": ("Rust", rust),
    "fortran": ("Fortran", fortran),
    "go": ("Go", go),
    "zig": ("Zig", zig),
    "node": ("Node.js", node),
    "java": ("Java", java),
    "r": ("R", r),
}

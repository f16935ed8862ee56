"""The names in other languages: which functions of the C++ header, the Python package, the Rust crate and the Fortran module call a C function.

They are read from the sources of the bindings by Tree-sitter. Only names that programs can write are kept.
"""

import re
from collections import defaultdict

import tree_sitter_cpp
import tree_sitter_fortran
import tree_sitter_rust
from tree_sitter import Language, Parser

CPP, FORTRAN, RUST = (Parser(Language(module.language())) for module in (tree_sitter_cpp, tree_sitter_fortran, tree_sitter_rust))
NAME = re.compile(rb"\btn_\w+")
# A function that more of them call is used everywhere, and the list says nothing.
MOST = 8


def names(root):
    """For each C function, the names in each language that call it."""
    readers = {"C++": cpp, "Python": python, "Rust": rust, "Fortran": fortran}
    found = defaultdict(dict)
    for language, read in readers.items():
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
            if path.startswith("c::tn_"):
                api[text(function.child_by_field_name("name"))].add(path.removeprefix("c::"))
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

//! The module `tenure` for programs that are built by `zig build`. pkg-config finds the installed library and its header.
const std = @import("std");

pub fn build(b: *std.Build) void {
    const target = b.standardTargetOptions(.{});
    const optimize = b.standardOptimizeOption(.{});

    // What Zig makes of the installed header.
    const header = b.addTranslateC(.{
        .root_source_file = b.addWriteFiles().add("tenure_c.h", "#include <tenure.h>\n"),
        .target = target,
        .optimize = optimize,
        .link_libc = true,
    });
    header.linkSystemLibrary("tenure", .{});
    const c = header.createModule();

    const tenure = b.addModule("tenure", .{
        .root_source_file = b.path("tenure.zig"),
        .target = target,
        .optimize = optimize,
        .link_libc = true,
        .imports = &.{.{ .name = "c", .module = c }},
    });
    tenure.linkSystemLibrary("tenure", .{});
}

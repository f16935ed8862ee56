from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain
from conan.tools.files import get, rm, rmdir

required_conan_version = ">=2.0"


class TenureConan(ConanFile):
    name = "tenure"
    version = "@VERSION@"
    description = "Array memory for programs that mix languages: checked handles, pools, borrows and ownership that can be given and taken"
    license = "MIT OR Apache-2.0"
    topics = ("array", "memory", "ownership", "allocator", "ffi")
    package_type = "shared-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"linalg": [True, False]}
    default_options = {"linalg": True}

    def configure(self):
        # The library is Rust with a C interface: no compiler of C++ has a part in it.
        self.settings.rm_safe("compiler.libcxx")
        self.settings.rm_safe("compiler.cppstd")

    def validate(self):
        if self.settings.os != "Linux" or self.settings.arch not in ("x86_64", "armv8"):
            raise ConanInvalidConfiguration(f"{self.ref} is for 64-bit Linux on x86-64 and aarch64")

    def package_id(self):
        # A call of C is the same for all compilers.
        del self.info.settings.compiler
        del self.info.settings.build_type

    def source(self):
        get(self, **self.conan_data["sources"][self.version], strip_root=True)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["TENURE_FEATURES"] = "managed,linalg" if self.options.linalg else "managed"
        toolchain.generate()
        CMakeDeps(self).generate()

    def build(self):
        # Needs cargo of Rust 1.95 or newer in the PATH.
        cmake = CMake(self)
        cmake.configure(build_script_folder="packaging/cmake")
        cmake.build()

    def package(self):
        CMake(self).install()
        # Two copies of the library in a process do not know each other's arrays.
        rm(self, "libtenure.a", f"{self.package_folder}/lib")
        rmdir(self, f"{self.package_folder}/lib/pkgconfig")
        rmdir(self, f"{self.package_folder}/lib/cmake")

    def package_info(self):
        self.cpp_info.libs = ["tenure"]
        self.cpp_info.set_property("cmake_file_name", "tenure")
        self.cpp_info.set_property("cmake_target_name", "tenure::tenure")
        self.cpp_info.set_property("pkg_config_name", "tenure")

from spack.package import *


class Tenure(CMakePackage):
    """Array memory for programs that mix languages: checked handles, pools, borrows and ownership that can be given and taken."""

    url = "@URL@/tenure-@VERSION@.tar.gz"

    license("MIT OR Apache-2.0", checked_by="the Tenure project")

    version("@VERSION@", sha256="@SHA256@")

    variant("linalg", default=True, description="Factors, triangular solves and products of matrices in expressions")

    depends_on("c", type="build")
    depends_on("rust@1.95:", type="build")
    depends_on("cmake@3.18:", type="build")

    conflicts("platform=darwin", msg="Tenure is for Linux")
    conflicts("platform=windows", msg="Tenure is for Linux")

    root_cmakelists_dir = "packaging/cmake"

    def cmake_args(self):
        features = "managed,linalg" if self.spec.satisfies("+linalg") else "managed"
        return [self.define("TENURE_FEATURES", features)]

class Tenure < Formula
  desc "Array memory for programs that mix languages"
  homepage "@URL@"
  url "@URL@/tenure-@VERSION@.tar.gz"
  sha256 "@SHA256@"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "cmake" => :build
  depends_on "rust" => :build
  depends_on :linux

  def install
    system "cmake", "-S", "packaging/cmake", "-B", "build", *std_cmake_args
    system "cmake", "--build", "build"
    system "cmake", "--install", "build"
  end

  test do
    (testpath/"first.c").write <<~C
      #include <stdio.h>
      #include <tenure.h>

      int main(void)
      {
          puts(tn_status_name(TN_ERR_STALE));
          return tn_version() >= TN_VERSION ? 0 : 1;
      }
    C
    system ENV.cc, "first.c", "-I#{include}", "-L#{lib}", "-ltenure", "-o", "first"
    assert_equal "TN_ERR_STALE\n", shell_output("./first")
    assert_match version.to_s, shell_output("#{bin}/tenure --version")
  end
end

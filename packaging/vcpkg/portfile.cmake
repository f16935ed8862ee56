# Needs cargo of Rust 1.95 or newer in the PATH. Two copies of the library in a process do not know each other's arrays, so it is shared.
vcpkg_check_linkage(ONLY_DYNAMIC_LIBRARY)
# There is no library for debugging.
set(VCPKG_BUILD_TYPE release)

vcpkg_download_distfile(ARCHIVE
    URLS "@URL@/tenure-@VERSION@.tar.gz"
    FILENAME "tenure-@VERSION@.tar.gz"
    SHA512 @SHA512@
)
vcpkg_extract_source_archive(SOURCE_PATH ARCHIVE "${ARCHIVE}")
vcpkg_cmake_configure(SOURCE_PATH "${SOURCE_PATH}/packaging/cmake")
vcpkg_cmake_install()

file(REMOVE "${CURRENT_PACKAGES_DIR}/lib/libtenure.a" "${CURRENT_PACKAGES_DIR}/lib/pkgconfig/tenure-static.pc")
file(MAKE_DIRECTORY "${CURRENT_PACKAGES_DIR}/share")
file(RENAME "${CURRENT_PACKAGES_DIR}/lib/cmake/tenure" "${CURRENT_PACKAGES_DIR}/share/tenure")
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/lib/cmake")
vcpkg_replace_string("${CURRENT_PACKAGES_DIR}/share/tenure/tenure-config.cmake" "/../../.." "/../..")
vcpkg_fixup_pkgconfig()
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE-MIT" "${SOURCE_PATH}/LICENSE-APACHE")

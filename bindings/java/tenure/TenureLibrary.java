package tenure;

import com.sun.jna.Native;
import com.sun.jna.Platform;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/** Which file the library is loaded from. */
final class TenureLibrary {
    private TenureLibrary() {}

    private static final String NAME = "libtenure.so.0";

    /** The file that the system property names, else the loaded one, else that of the jar, else the one that the loader finds. */
    static String file() {
        String given = System.getProperty("tenure.library");
        if (given == null) given = loaded();
        if (given == null) given = ofJar();
        return given == null ? NAME : given;
    }

    /** The library that the process has loaded already: a second copy would not know its handles. */
    private static String loaded() {
        try (Stream<String> lines = Files.lines(Path.of("/proc/self/maps"), java.nio.charset.StandardCharsets.ISO_8859_1)) {
            return lines.filter(line -> line.contains("/libtenure.so."))
                    .map(line -> line.substring(line.indexOf('/')))
                    .filter(path -> Files.exists(Path.of(path)))
                    .findFirst()
                    .orElse(null);
        } catch (IOException unreadable) {
            return null;
        }
    }

    /** The jar's library for this platform, which JNA copies to a temporary file. */
    private static String ofJar() {
        String resource = "/" + Platform.RESOURCE_PREFIX + "/" + NAME;
        if (TenureLibrary.class.getResource(resource) == null) return null;
        try {
            return Native.extractFromResourcePath(resource, TenureLibrary.class.getClassLoader()).getPath();
        } catch (IOException unwritable) {
            throw new IllegalStateException("the jar's " + resource + " cannot be copied to a temporary file", unwritable);
        }
    }
}

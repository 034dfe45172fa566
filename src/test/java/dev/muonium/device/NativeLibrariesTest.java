package dev.muonium.device;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.ChildJava;
import dev.muonium.bindings.mu.Muonium;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Loading happens once per process, so every case has one of its own. */
final class NativeLibrariesTest {
    private static final String ALLOWED = "--enable-native-access=ALL-UNNAMED";

    @TempDir
    Path temporary;

    /** What the processes run: opens the CPU twice and prints what came of it. */
    static final class Open {
        private Open() {}

        public static void main(String[] arguments) {
            for (int i = 0; i < 2; i++) {
                try (CpuDevice device = Device.cpu(1)) {
                    System.out.println(device.describe() + " "
                            + device.report().libraries().get(0).path());
                } catch (RuntimeException e) {
                    System.out.println(e.getClass().getSimpleName() + ": " + e.getMessage());
                }
            }
        }
    }

    @Test
    void loadsFromTheFolderThatWasNamed() throws Exception {
        Path libraries = provide();

        List<String> lines = open(ALLOWED, "-Dmuonium.library.path=" + libraries, "-Dmuonium.simd=scalar");

        assertEquals("cpu (scalar, 1 thread) " + libraries.resolve("libmuonium.so"), lines.get(0));
        assertEquals(lines.get(0), lines.get(1));
    }

    @Test
    void namesTheLibraryThatAFolderLacks() throws Exception {
        List<String> lines = open(ALLOWED, "-Dmuonium.library.path=" + temporary);

        assertEquals(
                "DeviceUnavailableException: the CPU device is not available on linux-x86_64: the folder " + temporary
                        + ", which muonium.library.path or MUONIUM_LIBRARY_PATH names, has no libgomp.so.1; it must"
                        + " have libgomp.so.1 and libdnnl.so.3 and libmuonium.so",
                lines.get(0));
        assertEquals(lines.get(0), lines.get(1));
    }

    @Test
    void namesVersionsAndPathsOfALibraryOfAnotherBuild() throws Exception {
        Path libraries = provide();
        Path wrong = libraries.resolve("libmuonium.so");
        Path source = Files.writeString(temporary.resolve("wrong.c"), "int mu_abi_version(void) { return 4711; }\n");
        Files.delete(wrong);
        compile(source, wrong);

        String line = open(ALLOWED, "-Dmuonium.library.path=" + libraries).get(0);

        assertTrue(line.contains(wrong + " has ABI version 4711"), line);
        assertTrue(line.contains("were made for ABI version " + Muonium.MU_ABI_VERSION()), line);
        Path classes = Path.of(
                Device.class.getProtectionDomain().getCodeSource().getLocation().toURI());
        assertTrue(line.contains("the classes of Muonium in " + classes), line);
    }

    @Test
    void namesTheFunctionsThatALibraryLacks() throws Exception {
        Path libraries = provide();
        Path stub = libraries.resolve("libdnnl.so.3");
        Files.delete(stub);
        compile(Files.writeString(temporary.resolve("stub.c"), "void nothing(void) {}\n"), stub);

        List<String> lines = open(ALLOWED, "-Dmuonium.library.path=" + libraries);

        assertTrue(
                lines.get(0).startsWith("DeviceUnavailableException: the CPU device is not available"), lines.get(0));
        assertTrue(lines.get(0).contains("has no function omp_get_"), lines.get(0));
        assertEquals(lines.get(0), lines.get(1));

        Files.delete(stub);
        Path own = libraries.resolve("libmuonium.so");
        Files.delete(own);
        Files.createSymbolicLink(stub, shared().resolve("libdnnl.so.3").toAbsolutePath());
        compile(Files.writeString(temporary.resolve("old.c"), abi(Muonium.MU_ABI_VERSION())), own);

        lines = open(ALLOWED, "-Dmuonium.library.path=" + libraries);

        assertTrue(lines.get(0).contains(own + " has no function mu_"), lines.get(0));
        assertEquals(lines.get(0), lines.get(1));
    }

    private static String abi(int version) {
        return "int mu_abi_version(void) { return " + version + "; }\n";
    }

    /** Of the right size, as after a crash of the system: only loading it, or reading all of it, can tell. */
    @Test
    void mendsALibraryOfTheCacheThatCannotBeLoaded() throws Exception {
        Path cache = temporary.resolve("cache");
        Path library = new NativeCache(cache)
                .provide(NativeBundle.forPlatform("linux-x86_64"))
                .resolve("libgomp.so.1");
        byte[] contents = Files.readAllBytes(library);
        Files.write(library, new byte[contents.length]);

        List<String> lines = open(ALLOWED, "-Dmuonium.cache=" + cache, "-Dmuonium.simd=scalar");

        assertTrue(lines.get(0).startsWith("cpu (scalar, 1 thread) "), lines.get(0));
        assertArrayEquals(contents, Files.readAllBytes(library));
    }

    @Test
    void passesOnWhyTheDynamicLinkerRefuses() throws Exception {
        Path libraries = provide();
        Files.delete(libraries.resolve("libmuonium.so"));
        Files.createFile(libraries.resolve("libmuonium.so"));

        String line = open(ALLOWED, "-Dmuonium.library.path=" + libraries).get(0);

        assertTrue(line.contains("cannot load " + libraries.resolve("libmuonium.so")), line);
        assertTrue(line.contains("file too short"), line);
    }

    @Test
    void namesTheFlagForNativeAccess() throws Exception {
        String line = open("--illegal-native-access=deny").get(0);

        assertTrue(line.startsWith("DeviceUnavailableException: "), line);
        assertTrue(line.contains("--enable-native-access=ALL-UNNAMED to the java command"), line);
        assertTrue(line.contains("dev.muonium instead of ALL-UNNAMED if Muonium is on the module path"), line);
    }

    @Test
    void saysWhichCacheFoldersCannotBeUsed() throws Exception {
        Path file = Files.createFile(temporary.resolve("file"));

        String line = open(ALLOWED, "-Dmuonium.cache=" + file).get(0);

        assertTrue(line.contains("cannot be extracted to " + file), line);
        assertTrue(line.contains("-Dmuonium.cache=FOLDER"), line);
    }

    @Test
    void fallsBackToTheTemporaryFolder() throws Exception {
        Path home = Files.createFile(temporary.resolve("home"));
        Path tmp = Files.createDirectory(temporary.resolve("tmp"));

        String line = open(ALLOWED, "-Duser.home=" + home, "-Djava.io.tmpdir=" + tmp, "-Dmuonium.cache=")
                .get(0);

        assertTrue(line.contains(" " + tmp.resolve("muonium-" + System.getProperty("user.name"))), line);
    }

    @Test
    void namesThePlatformThatIsNotSupported() throws Exception {
        String line = open(ALLOWED, "-Dos.arch=riscv64").get(0);

        assertEquals(
                "DeviceUnavailableException: the CPU device is not available on linux-riscv64: Muonium brings native"
                        + " libraries for linux-x86_64 only; build them for this platform and name their folder with"
                        + " -Dmuonium.library.path=FOLDER",
                line);
    }

    @Test
    void refusesATierThatIsNone() throws Exception {
        assertEquals(
                "IllegalArgumentException: the system property muonium.simd is 'sse9'; it must be scalar, avx2, avx512"
                        + " or auto",
                open(ALLOWED, "-Dmuonium.simd=sse9").get(0));
    }

    /** A folder with the libraries, which the test may spoil: the large one is a link to what the tests use. */
    private Path provide() throws IOException {
        Path shared = shared();
        Path folder = Files.createDirectory(temporary.resolve("libraries"));
        for (String library : List.of("libgomp.so.1", "libdnnl.so.3", "libmuonium.so")) {
            Files.createSymbolicLink(
                    folder.resolve(library), shared.resolve(library).toAbsolutePath());
        }
        return folder;
    }

    private static Path shared() throws IOException {
        return new NativeCache(Path.of(System.getProperty("muonium.cache", "target/native-cache")))
                .provide(NativeBundle.forPlatform("linux-x86_64"));
    }

    private static void compile(Path source, Path library) throws IOException, InterruptedException {
        Process compiler = new ProcessBuilder("cc", "-shared", "-fPIC", "-o", library.toString(), source.toString())
                .inheritIO()
                .start();
        assertEquals(0, compiler.waitFor());
    }

    private static List<String> open(String... options) throws IOException, InterruptedException {
        ProcessBuilder builder =
                new ProcessBuilder(ChildJava.command(Open.class, List.of(options))).redirectError(Redirect.DISCARD);
        builder.environment().keySet().removeIf(name -> name.startsWith("MUONIUM_") || name.equals("XDG_CACHE_HOME"));
        Process process = builder.start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertTrue(process.waitFor(60, TimeUnit.SECONDS), "the process hangs");
        List<String> lines = output.lines().toList();
        assertEquals(2, lines.size(), output);
        return lines;
    }
}

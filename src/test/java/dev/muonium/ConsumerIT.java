package dev.muonium;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.muonium.ConsumerProject.Run;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What happens to somebody who adds the dependency to a project: what comes with it, that it runs, and what it says when it cannot. */
final class ConsumerIT {
    private static final String DENY = "--illegal-native-access=deny";
    private static final String ALLOW_CLASS_PATH = "--enable-native-access=ALL-UNNAMED";
    private static final String ALLOW_MODULE = "--enable-native-access=dev.muonium";

    private static final String IN_MODULES =
            "trained in module example.consumer with module dev.muonium: 3 steps, 12936 bytes of state";

    private static ConsumerProject consumer;

    @TempDir
    private Path temporary;

    @BeforeAll
    static void build() throws Exception {
        consumer = ConsumerProject.build();
    }

    @Test
    void bringsTheLoggingApiAndTheNullAnnotationsAndNothingElse() {
        assertEquals(
                List.of(
                        "muonium-" + System.getProperty("muonium.version") + ".jar",
                        "log4j-api-" + System.getProperty("log4j.version") + ".jar",
                        "jspecify-" + System.getProperty("jspecify.version") + ".jar"),
                consumer.dependencies().stream()
                        .map(jar -> jar.getFileName().toString())
                        .toList());
    }

    @Test
    void isTheJarThatWasBuilt() throws IOException {
        Path installed = consumer.dependencies().getFirst();

        assertTrue(installed.startsWith(ConsumerProject.REPOSITORY), installed.toString());
        assertEquals(-1, Files.mismatch(installed, Path.of(System.getProperty("muonium.jar"))));
    }

    @Test
    void runsOnTheClassPath() throws Exception {
        runsOnTheClassPathOf(ConsumerProject.home());
    }

    @Test
    void runsOnTheModulePath() throws Exception {
        runsOnTheModulePathOf(ConsumerProject.home());
    }

    /** The natives are then resources of a module that is in no jar. */
    @Test
    void runsFromAnImage() throws Exception {
        Path jdk = ConsumerProject.home();
        assumeTrue(
                Files.isDirectory(jdk.resolve("jmods"))
                        || ConsumerProject.run(List.of(ConsumerProject.tool(jdk, "jlink"), "--help"))
                                .output()
                                .contains("Linking from run-time image enabled"),
                () -> "the JDK in " + jdk + " brings nothing that jlink could link");

        Path image = temporary.resolve("image");
        consumer.link(jdk, image);

        assertEquals(
                IN_MODULES,
                ConsumerProject.fromAnImage(image, ALLOW_MODULE, DENY).success());
    }

    @Test
    void runsOnANewerJdk() throws Exception {
        Run found = ConsumerProject.run(List.of(
                "bash",
                "-c",
                "source src/build/find-jdk.sh && find_newer_jdk "
                        + Runtime.version().feature()));
        assumeTrue(
                found.exitCode() == 0,
                () -> "there is no JDK newer than " + Runtime.version().feature()
                        + " here: the consumer was not run on one");
        Path newer = Path.of(found.success());

        runsOnTheClassPathOf(newer);
        runsOnTheModulePathOf(newer);
    }

    /** As the JVM is by default, up to some release to come. */
    @Test
    void runsWithAWarningOfTheJvmWithoutTheFlag() throws Exception {
        Run run = consumer.onTheModulePath(ConsumerProject.home(), "--illegal-native-access=warn");

        assertEquals(IN_MODULES, run.success());
        assertTrue(run.errors().contains("Use --enable-native-access=dev.muonium to avoid a warning"), run.errors());
    }

    @Test
    void namesTheFlagForTheClassPath() throws Exception {
        assertEquals(
                "the CPU device is not available: the JVM does not let Muonium call native code; add the option"
                        + " --enable-native-access=ALL-UNNAMED to the java command (dev.muonium instead of"
                        + " ALL-UNNAMED if Muonium is on the module path)",
                consumer.onTheClassPath(ConsumerProject.home(), DENY).refusal());
    }

    /** Also to somebody who took the flag for the class path. */
    @Test
    void namesTheFlagForTheModulePath() throws Exception {
        for (String[] options : new String[][] {{DENY}, {ALLOW_CLASS_PATH, DENY}}) {
            assertEquals(
                    "the CPU device is not available: the JVM does not let Muonium call native code; add the option"
                            + " --enable-native-access=dev.muonium to the java command (ALL-UNNAMED instead of"
                            + " dev.muonium if Muonium is on the class path)",
                    consumer.onTheModulePath(ConsumerProject.home(), options).refusal());
        }
    }

    @Test
    void namesThePlatformsThatItIsFor() throws Exception {
        assertEquals(
                "the CPU device is not available on mac-os-x-aarch64: Muonium brings native libraries for linux-x86_64"
                        + " only; build them for this platform and name their folder with"
                        + " -Dmuonium.library.path=FOLDER",
                consumer.onTheModulePath(
                                ConsumerProject.home(), ALLOW_MODULE, DENY, "-Dos.name=Mac OS X", "-Dos.arch=aarch64")
                        .refusal());
    }

    /** In {@code /proc} nobody makes folders, not even root. */
    @Test
    void namesTheFolderThatItCannotWriteTo() throws Exception {
        String refusal = consumer.onTheClassPath(
                        ConsumerProject.home(), ALLOW_CLASS_PATH, DENY, "-Dmuonium.cache=/proc/muonium")
                .refusal();

        assertTrue(
                refusal.startsWith("the CPU device is not available on linux-x86_64: the native libraries cannot be"
                        + " extracted to /proc/muonium ("),
                refusal);
        assertTrue(
                refusal.endsWith("; name a folder that this user can write to, and nobody else, with"
                        + " -Dmuonium.cache=FOLDER or the variable MUONIUM_CACHE"),
                refusal);
    }

    /** A process that may not write files of more than 1 MB meets oneDNN's library as a full disk would. */
    @Test
    void leavesNoHalfOfALibraryWhereThereIsNoRoom() throws Exception {
        Path cache = temporary.resolve("cache");
        List<String> command = consumer.commandOnTheClassPath(
                ConsumerProject.home(), "-XX:-UsePerfData", ALLOW_CLASS_PATH, DENY, "-Dmuonium.cache=" + cache);

        String refusal = ConsumerProject.run(
                        Stream.concat(Stream.of("bash", "-c", "ulimit -f 1024; exec \"$@\"", "bash"), command.stream())
                                .toList())
                .refusal();

        assertTrue(refusal.contains("the native libraries cannot be extracted to " + cache + " ("), refusal);
        assertTrue(refusal.contains("File too large"), refusal);
        try (Stream<Path> files = Files.walk(cache)) {
            assertEquals(
                    List.of("libgomp.so.1"),
                    files.filter(Files::isRegularFile)
                            .map(file -> file.getFileName().toString())
                            .toList());
        }
    }

    private static void runsOnTheClassPathOf(Path jdk) throws Exception {
        String line = consumer.onTheClassPath(jdk, ALLOW_CLASS_PATH, DENY).success();

        assertTrue(
                line.matches(
                        "trained in unnamed module @\\w+ with unnamed module @\\w+: 3 steps, 12936 bytes of state"),
                line);
    }

    private static void runsOnTheModulePathOf(Path jdk) throws Exception {
        assertEquals(
                IN_MODULES, consumer.onTheModulePath(jdk, ALLOW_MODULE, DENY).success());
    }
}

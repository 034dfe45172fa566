package dev.muonium;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.IOException;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.jar.JarFile;
import java.util.stream.Collectors;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.Test;

/** Looks at the jars as they are packed: what an embedder gets must not carry the command line or its text. */
final class JarContentsIT {
    private static final String NATIVE = "dev/muonium/native/linux-x86_64/";

    private static final Path LIBRARY = Path.of(System.getProperty("muonium.jar"));
    private static final Path COMMAND_LINE = Path.of(System.getProperty("muonium.cli.jar"));
    private static final Path CUDA = Path.of(System.getProperty("muonium.cuda.jar"));

    @Test
    void theLibraryCarriesNeitherCommandLineNorCorpus() throws IOException {
        Predicate<String> allowed = name -> name.equals("module-info.class")
                || (name.startsWith("dev/muonium/") && name.endsWith(".class") && !name.startsWith("dev/muonium/cli/"))
                || name.startsWith(NATIVE)
                || name.startsWith("META-INF/");

        assertEquals(List.of(), files(LIBRARY).stream().filter(allowed.negate()).toList());
    }

    @Test
    void theLibraryCarriesItsNativesAndNothingElseNative() throws IOException {
        Set<String> natives =
                files(LIBRARY).stream().filter(name -> name.startsWith(NATIVE)).collect(Collectors.toSet());

        assertEquals(
                Set.of(
                        NATIVE + "libgomp.so.1",
                        NATIVE + "libdnnl.so.3",
                        NATIVE + "libmuonium.so",
                        NATIVE + "natives.properties"),
                natives);
    }

    @Test
    void theCudaJarCarriesItsLibraryAsListedAndNothingElse() throws Exception {
        assumeFalse(
                Boolean.getBoolean("muonium.cuda.missing"),
                "there is no CUDA compiler here, so no jar of the CUDA backend");
        String folder = "dev/muonium/native/linux-x86_64-cuda13/";

        assertEquals(
                Set.of(
                        folder + "libmuonium_cuda.so",
                        folder + "natives.properties",
                        "META-INF/MANIFEST.MF",
                        "META-INF/LICENSE",
                        "META-INF/NOTICE"),
                Set.copyOf(files(CUDA)));
        try (var jar = new JarFile(CUDA.toFile())) {
            byte[] library = jar.getInputStream(jar.getEntry(folder + "libmuonium_cuda.so"))
                    .readAllBytes();
            String hash = HexFormat.of()
                    .formatHex(MessageDigest.getInstance("SHA-256").digest(library));
            String listing = new String(
                    jar.getInputStream(jar.getEntry(folder + "natives.properties"))
                            .readAllBytes(),
                    StandardCharsets.UTF_8);
            assertEquals("libmuonium_cuda.so=" + hash + "\n", listing);
        }
    }

    @Test
    void bothJarsCarryTheirLicense() throws IOException {
        for (Path jar : List.of(LIBRARY, COMMAND_LINE)) {
            assertTrue(
                    files(jar).containsAll(List.of("META-INF/LICENSE", "META-INF/NOTICE")),
                    jar + " has no license or notice");
        }
        assertTrue(
                files(LIBRARY)
                        .containsAll(List.of(
                                "META-INF/licenses/oneDNN/LICENSE",
                                "META-INF/licenses/libgomp/COPYING3",
                                "META-INF/licenses/libgomp/COPYING.RUNTIME")),
                "the licenses of the libraries packed with ours are missing");
    }

    @Test
    void theLibraryIsAModuleThatKeepsItsBindingsToItself() {
        ModuleDescriptor module = descriptor(LIBRARY);

        assertEquals("dev.muonium", module.name());
        assertTrue(
                module.exports().stream()
                        .noneMatch(exported -> exported.source().startsWith("dev.muonium.bindings")),
                module.exports().toString());
        Set<String> required = module.requires().stream()
                .filter(requires -> !requires.modifiers().contains(ModuleDescriptor.Requires.Modifier.STATIC))
                .map(ModuleDescriptor.Requires::name)
                .filter(name -> !name.startsWith("java.") && !name.startsWith("jdk."))
                .collect(Collectors.toSet());
        assertEquals(Set.of("org.apache.logging.log4j"), required);
    }

    /** What a module passes on javac wants of everybody who requires it, also what is needed at compile time only. */
    @Test
    void theLibraryAsksNobodyForAFrameworkThatItDoesNotUse() {
        Set<String> passedOn = descriptor(LIBRARY).requires().stream()
                .filter(requires -> requires.modifiers().contains(ModuleDescriptor.Requires.Modifier.TRANSITIVE))
                .map(ModuleDescriptor.Requires::name)
                .collect(Collectors.toSet());

        assertEquals(Set.of("org.jspecify"), passedOn);
    }

    @Test
    void theCommandLineIsAModuleOnTopOfTheLibrary() throws IOException {
        assertEquals("dev.muonium.cli", descriptor(COMMAND_LINE).name());
        assertTrue(
                files(COMMAND_LINE).stream()
                        .filter(name -> name.endsWith(".class") && !name.equals("module-info.class"))
                        .allMatch(name -> name.startsWith("dev/muonium/cli/")),
                "the command line's jar carries classes of the library");
    }

    /** Frameworks that adapters are for: an app that has one brings it, and no other app gets it. */
    @Test
    void frameworksReachNobodyWhoDoesNotHaveThem() throws IOException {
        Set<String> optional = descriptor(LIBRARY).requires().stream()
                .filter(requires -> requires.modifiers().contains(ModuleDescriptor.Requires.Modifier.STATIC))
                .map(ModuleDescriptor.Requires::name)
                .collect(Collectors.toSet());
        assertTrue(optional.contains("org.bytedeco.pytorch"), optional.toString());
        String path = Files.readString(Path.of("target/cli.modulepath"));
        assertTrue(path.contains("picocli"), path);
        assertFalse(path.contains("bytedeco"), path);
    }

    private static ModuleDescriptor descriptor(Path jar) {
        return ModuleFinder.of(jar).findAll().iterator().next().descriptor();
    }

    private static List<String> files(Path jar) throws IOException {
        try (var file = new JarFile(jar.toFile())) {
            return file.stream()
                    .filter(entry -> !entry.isDirectory())
                    .map(ZipEntry::getName)
                    .toList();
        }
    }
}

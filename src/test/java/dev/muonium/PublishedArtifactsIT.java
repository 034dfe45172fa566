package dev.muonium;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

/** Looks at what is installed in a repository: the jars, and the POM that others' builds read. */
final class PublishedArtifactsIT {
    private static final String VERSION = System.getProperty("muonium.version");
    private static final Path FOLDER =
            ConsumerProject.REPOSITORY.resolve("dev/muonium/muonium").resolve(VERSION);

    @Test
    void jarsForEveryUseAreInstalled() throws IOException {
        Set<String> expected = new TreeSet<>(Set.of(".pom", ".jar", "-sources.jar", "-javadoc.jar", "-cli.jar"));
        if (!Boolean.getBoolean("muonium.cuda.missing")) {
            expected.add("-cuda13-linux-x86_64.jar");
        }

        try (Stream<Path> files = Files.list(FOLDER)) {
            assertEquals(
                    expected,
                    files.map(file -> file.getFileName().toString())
                            .filter(name -> name.startsWith("muonium-" + VERSION))
                            .map(name -> name.substring(("muonium-" + VERSION).length()))
                            .collect(Collectors.toCollection(TreeSet::new)));
        }
    }

    /** Properties, profiles, plugins, repositories and managed versions are this build's, and nobody else's. */
    @Test
    void thePomSaysWhatItIsAndWhatItNeedsOnly() throws Exception {
        assertEquals(
                List.of(
                        "modelVersion",
                        "groupId",
                        "artifactId",
                        "version",
                        "name",
                        "description",
                        "licenses",
                        "dependencies"),
                elements(pom()).map(Element::getNodeName).toList());
    }

    /** The others are listed for those who take the command line's jar, or an adapter. */
    @Test
    void anEmbedderInheritsOnlyTheLoggingApiAndTheNullAnnotations() throws Exception {
        assertEquals(
                List.of("log4j-api", "jspecify"),
                artifacts(dependency -> !text(dependency, "optional").equals("true")));
    }

    @Test
    void nothingOfTheTestsIsPublished() throws Exception {
        assertEquals(
                List.of(), artifacts(dependency -> text(dependency, "scope").equals("test")));
        assertEquals(
                List.of(), artifacts(dependency -> dependency.getTextContent().contains("${")));
    }

    private static List<String> artifacts(Predicate<Element> wanted) throws Exception {
        return elements(pom())
                .filter(element -> element.getNodeName().equals("dependencies"))
                .flatMap(PublishedArtifactsIT::elements)
                .filter(wanted)
                .map(dependency -> text(dependency, "artifactId"))
                .toList();
    }

    private static Element pom() throws Exception {
        return DocumentBuilderFactory.newDefaultInstance()
                .newDocumentBuilder()
                .parse(FOLDER.resolve("muonium-" + VERSION + ".pom").toFile())
                .getDocumentElement();
    }

    private static String text(Element parent, String name) {
        return elements(parent)
                .filter(element -> element.getNodeName().equals(name))
                .map(Element::getTextContent)
                .collect(Collectors.joining());
    }

    private static Stream<Element> elements(Element parent) {
        NodeList nodes = parent.getChildNodes();
        return IntStream.range(0, nodes.getLength())
                .mapToObj(nodes::item)
                .filter(Element.class::isInstance)
                .map(Element.class::cast);
    }
}

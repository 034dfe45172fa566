package dev.muonium.cli.report;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.Color;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;
import org.xml.sax.InputSource;

final class PicturesTest {
    @TempDir
    private Path folder;

    @Test
    void bothLossCurvesAreSeen() throws IOException {
        Path file = folder.resolve("loss.png");

        Pictures.writePng(LossChart.of(SampleReport.of(300)), file);

        BufferedImage image = ImageIO.read(file.toFile());
        assertEquals(Pictures.SCALE * LossChart.WIDTH, image.getWidth());
        assertEquals(Pictures.SCALE * LossChart.HEIGHT, image.getHeight());
        assertTrue(pixels(image, ChartStyle.BASELINE) > 2000, "the baseline's curve is covered");
        assertTrue(pixels(image, ChartStyle.CANDIDATE) > 1000, "the candidate's curve is missing");
        assertTrue(
                pixels(image, Color.WHITE) > image.getWidth() * image.getHeight() / 2, "the background is not white");
    }

    @Test
    void memoryHasBarsOfBothRuns() throws IOException {
        Path file = folder.resolve("memory.png");

        Pictures.writePng(MemoryChart.of(SampleReport.of(300)), file);

        BufferedImage image = ImageIO.read(file.toFile());
        assertEquals(Pictures.SCALE * MemoryChart.WIDTH, image.getWidth());
        assertTrue(pixels(image, ChartStyle.BASELINE) > 10_000);
        assertTrue(pixels(image, ChartStyle.CANDIDATE) > 10_000);
    }

    /** The texts of it are outlines, which look the same on a machine with other fonts. */
    @Test
    void theVectorPictureHasBothCurves() throws Exception {
        Path file = folder.resolve("loss.svg");

        Pictures.writeSvg(LossChart.of(SampleReport.of(300)), file);

        Element svg = DocumentBuilderFactory.newDefaultInstance()
                .newDocumentBuilder()
                .parse(new InputSource(new StringReader(
                        Files.readString(file).replaceFirst("<!DOCTYPE[^>]*>", "")))) // which would be fetched
                .getDocumentElement();
        assertEquals("svg", svg.getTagName());
        assertEquals("0 0 " + LossChart.WIDTH + " " + LossChart.HEIGHT, svg.getAttribute("viewBox"));
        assertTrue(strokes(svg, ChartStyle.BASELINE) >= 299, "the baseline's curve is missing");
        assertTrue(strokes(svg, ChartStyle.CANDIDATE) >= 299, "the candidate's curve is missing");
    }

    @Test
    void averagesOverTheWindowThatThereIs() {
        assertArrayEquals(new double[] {1, 1.5, 2.5}, LossChart.movingAverage(new double[] {1, 2, 3}, 2));
        assertTrue(Double.isNaN(LossChart.movingAverage(new double[] {1, Double.NaN}, 2)[1]));
    }

    private static long pixels(BufferedImage image, Color color) {
        return IntStream.range(0, image.getWidth() * image.getHeight())
                .filter(i -> image.getRGB(i % image.getWidth(), i / image.getWidth()) == color.getRGB())
                .count();
    }

    private static long strokes(Element svg, Color color) {
        String style = "stroke:rgb(" + color.getRed() + "," + color.getGreen() + "," + color.getBlue() + ")";
        NodeList lines = svg.getElementsByTagName("line");
        return IntStream.range(0, lines.getLength())
                .filter(i -> ((Element) lines.item(i)).getAttribute("style").contains(style))
                .count();
    }
}

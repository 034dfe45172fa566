package dev.muonium.cli.report;

import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import javax.imageio.ImageIO;
import org.knowm.xchart.ChartEncoder;
import org.knowm.xchart.internal.chartpart.IChart;

/** Writes charts to files. */
final class Pictures {
    /** Pixels for each point of a PNG, so that it is sharp on dense screens. */
    static final int SCALE = 2;

    private Pictures() {}

    /** Draws and writes pictures. */
    @FunctionalInterface
    interface Drawing {
        void draw() throws IOException;
    }

    /** Draws; says why the pictures are missing, if they are: a machine may have no fonts. */
    static Optional<String> draw(Drawing drawing) throws IOException {
        try {
            drawing.draw();
            return Optional.empty();
        } catch (RuntimeException | LinkageError | InternalError e) {
            // What AWT throws where it finds no fonts, or no library to draw them with, differs from one release to the
            // next.
            return Optional.of("the pictures are missing, because this machine cannot draw text (" + e
                    + "); install fonts, for example: apt-get install fontconfig libfreetype6 fonts-dejavu-core");
        }
    }

    static void writePng(IChart chart, Path file) throws IOException {
        int width = chart.getWidth();
        int height = chart.getHeight();
        BufferedImage image = new BufferedImage(SCALE * width, SCALE * height, BufferedImage.TYPE_INT_RGB);
        Graphics2D graphics = image.createGraphics();
        try {
            graphics.setColor(Color.WHITE);
            graphics.fillRect(0, 0, SCALE * width, SCALE * height);
            graphics.scale(SCALE, SCALE);
            chart.paint(graphics, width, height);
        } finally {
            graphics.dispose();
        }
        if (!ImageIO.write(image, "png", file.toFile())) {
            throw new IOException("this JVM has no writer of PNG pictures");
        }
    }

    static void writeSvg(IChart chart, Path file) throws IOException {
        try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(file))) {
            ChartEncoder.saveChart(chart, out, "svg");
        }
    }
}

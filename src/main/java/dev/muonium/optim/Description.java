package dev.muonium.optim;

import dev.muonium.memory.Shape;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;

/** The table of {@link Optimizer#describe}. */
final class Description {
    private static final List<String> TITLES =
            List.of("parameter", "shape", "group", "optimizer", "state", "learning rate", "bytes");

    private Description() {}

    static String of(Collection<Slot> slots, double learningRateFactor) {
        List<List<String>> rows = new ArrayList<>();
        rows.add(TITLES);
        long bytes = 0;
        for (Slot slot : slots) {
            rows.add(row(slot, learningRateFactor));
            bytes += slot.stateBytes() + slot.masterBytes();
        }
        rows.add(List.of("total", "", "", "", "", "", String.format(Locale.ROOT, "%,d", bytes)));
        return format(rows);
    }

    private static List<String> row(Slot slot, double learningRateFactor) {
        return List.of(
                slot.parameter.name(),
                shape(slot),
                slot.group.name(),
                optimizer(slot),
                slot.masterBytes() == 0 ? slot.formats() : slot.formats() + " + fp32 master",
                slot.parameter.isFrozen() ? "frozen" : rate(slot, learningRateFactor),
                String.format(Locale.ROOT, "%,d", slot.stateBytes() + slot.masterBytes()));
    }

    /** With Muon's polynomials, which may have been left to the device to choose. */
    private static String optimizer(Slot slot) {
        String name = slot.group.spec().optimizer();
        return slot instanceof MuonSlot muon
                ? name + " (" + muon.newtonSchulz.schedule().name() + ")"
                : name;
    }

    /** With the matrices that it is orthogonalized as, where it is not one of its own shape, for example {@code 2304×768 as 3 of 768×768}. */
    private static String shape(Slot slot) {
        Shape shape = slot.parameter.shape();
        List<Shape> matrices = slot.parameter.matrices();
        boolean isWhole = slot instanceof AdamWSlot || matrices.equals(List.of(shape));
        return isWhole ? shape.toString() : shape + " as " + Matrices.describe(matrices);
    }

    /** Of matrices of several shapes the smallest and the largest. */
    private static String rate(Slot slot, double learningRateFactor) {
        double least = 1;
        double most = 1;
        if (slot instanceof MuonSlot muon) {
            least = Double.POSITIVE_INFINITY;
            most = 0;
            for (MuonPiece piece : muon.pieces) {
                least = Math.min(least, piece.adjustment);
                most = Math.max(most, piece.adjustment);
            }
        }
        double rate = slot.learningRate(learningRateFactor);
        String text = String.format(Locale.ROOT, "%.4g", rate * least);
        return least == most ? text : String.format(Locale.ROOT, "%s to %.4g", text, rate * most);
    }

    private static String format(List<List<String>> rows) {
        int[] widths = new int[TITLES.size()];
        for (List<String> row : rows) {
            for (int i = 0; i < widths.length; i++) {
                widths[i] = Math.max(widths[i], row.get(i).length());
            }
        }
        StringBuilder table = new StringBuilder();
        for (List<String> row : rows) {
            for (int i = 0; i < widths.length; i++) {
                boolean number = i >= TITLES.size() - 2;
                String gap = " ".repeat(widths[i] - row.get(i).length());
                table.append(i == 0 ? "" : "  ")
                        .append(number ? gap : "")
                        .append(row.get(i))
                        .append(number ? "" : gap);
            }
            table.append('\n');
        }
        return table.toString();
    }
}

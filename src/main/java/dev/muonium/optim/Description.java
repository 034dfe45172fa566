package dev.muonium.optim;

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
        double adjustment = slot instanceof MuonSlot muon ? muon.adjustment : 1;
        String rate = slot.parameter.isFrozen()
                ? "frozen"
                : String.format(Locale.ROOT, "%.4g", slot.learningRate(learningRateFactor) * adjustment);
        return List.of(
                slot.parameter.name(),
                slot.parameter.shape().toString(),
                slot.group.name(),
                optimizer(slot),
                slot.masterBytes() == 0 ? slot.formats() : slot.formats() + " + fp32 master",
                rate,
                String.format(Locale.ROOT, "%,d", slot.stateBytes() + slot.masterBytes()));
    }

    /** With Muon's polynomials, which may have been left to the device to choose. */
    private static String optimizer(Slot slot) {
        String name = slot.group.spec().optimizer();
        return slot instanceof MuonSlot muon
                ? name + " (" + muon.newtonSchulz.schedule().name() + ")"
                : name;
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

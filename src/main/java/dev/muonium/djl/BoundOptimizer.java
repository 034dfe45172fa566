package dev.muonium.djl;

import dev.muonium.NonFiniteGradientException;
import dev.muonium.checkpoint.OptimizerFile;
import dev.muonium.checkpoint.Safetensors;
import dev.muonium.device.Device;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.StepReport;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** An optimizer of ours over the arrays that DJL handed over. Owns its state, not the arrays and not the device. */
final class BoundOptimizer implements AutoCloseable {
    private static final Logger LOG = LogManager.getLogger(BoundOptimizer.class);

    private final Device device;
    private final Settings settings;
    private final Optimizer optimizer;
    private final Map<String, BoundParameter> bound = new LinkedHashMap<>();

    BoundOptimizer(Device device, Settings settings) {
        this.device = device;
        this.settings = settings;
        this.optimizer = settings.optimizer(device);
    }

    Optimizer optimizer() {
        return optimizer;
    }

    /**
     * Turns to what arrived, in the block's order: the sum of the gradients' norm goes by it, and the order in which DJL hands over
     * differs from run to run.
     */
    void bind(Routing routing, Arrivals arrivals) {
        for (Route route : routing.trained()) {
            Arrival arrival = arrivals.find(route.name());
            if (arrival != null) {
                bind(arrival);
            }
        }
        bound.forEach((name, parameter) -> parameter.parameter().frozen(arrivals.find(name) == null));
    }

    private void bind(Arrival arrival) {
        String name = arrival.route().name();
        BoundParameter known = bound.get(name);
        if (known != null) {
            known.bind(arrival);
            return;
        }
        BoundParameter made = new BoundParameter(device, arrival);
        try {
            optimizer.add(made.parameter());
        } catch (RuntimeException e) {
            made.close();
            throw e;
        }
        bound.put(name, made);
    }

    /** Takes a step with what {@link #bind} turned to, and sets the gradients that PyTorch keeps to 0. */
    StepReport step(Arrivals arrivals, double gradientScale) {
        settings.setLearningRates(optimizer);
        if (!device.memory().isHost()) {
            arrivals.all().iterator().next().awaitGpu();
        }
        List<BoundParameter> active = bound.values().stream()
                .filter(parameter -> !parameter.parameter().isFrozen())
                .toList();
        active.forEach(BoundParameter::copyIn);
        StepReport report;
        try {
            report = optimizer.step(gradientScale);
        } catch (NonFiniteGradientException e) {
            arrivals.all().forEach(Arrival::zeroGradient);
            throw e;
        }
        active.forEach(BoundParameter::copyOut);
        arrivals.all().forEach(Arrival::zeroGradient);
        return report;
    }

    /** Restores the state of all parameters that are bound, and says whose it did not. */
    void restore(Routing routing, Safetensors file) {
        OptimizerFile.restore(file, optimizer);
        List<String> unused = new ArrayList<>();
        for (Route route : routing.routes()) {
            if (!bound.containsKey(route.name())
                    && file.find(OptimizerFile.stepKey(route.name())).isPresent()) {
                unused.add(route.name());
            }
        }
        if (!unused.isEmpty()) {
            LOG.warn("'{}' has state of {}, which are frozen now; it was not restored", file.file(), unused);
        }
    }

    @Override
    public void close() {
        optimizer.close();
        bound.values().forEach(BoundParameter::close);
        bound.clear();
    }
}

package dev.muonium.pytorch;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import org.apache.logging.log4j.Level;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.core.LogEvent;
import org.apache.logging.log4j.core.Logger;
import org.apache.logging.log4j.core.appender.AbstractAppender;
import org.apache.logging.log4j.core.config.Property;

/** What a class logs while this is open. */
final class LogLines implements AutoCloseable {
    private final List<String> lines = new CopyOnWriteArrayList<>();
    private final Logger logger;
    private final Level level;
    private final AbstractAppender appender;

    LogLines(Class<?> of) {
        this(of, _ -> {});
    }

    /** @param then is run by the thread that logs */
    LogLines(Class<?> of, Consumer<String> then) {
        logger = (Logger) LogManager.getLogger(of);
        level = logger.getLevel();
        appender = new AbstractAppender("lines of a test", null, null, true, Property.EMPTY_ARRAY) {
            @Override
            public void append(LogEvent event) {
                String line = event.getMessage().getFormattedMessage();
                lines.add(line);
                then.accept(line);
            }
        };
        appender.start();
        logger.addAppender(appender);
        logger.setLevel(Level.INFO);
    }

    List<String> lines() {
        return lines;
    }

    @Override
    public void close() {
        logger.setLevel(level);
        logger.removeAppender(appender);
        appender.stop();
    }
}

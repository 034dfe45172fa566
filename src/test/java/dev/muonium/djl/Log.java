package dev.muonium.djl;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.apache.logging.log4j.Level;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.core.LogEvent;
import org.apache.logging.log4j.core.Logger;
import org.apache.logging.log4j.core.appender.AbstractAppender;
import org.apache.logging.log4j.core.config.Property;

/** What a class logs while this is open. */
final class Log extends AbstractAppender implements AutoCloseable {
    private final Logger logger;
    private final List<LogEvent> events = Collections.synchronizedList(new ArrayList<>());

    private final Level before;

    private Log(Logger logger) {
        super("test", null, null, true, Property.EMPTY_ARRAY);
        this.logger = logger;
        this.before = logger.getLevel();
    }

    static Log of(Class<?> source) {
        Log log = new Log((Logger) LogManager.getLogger(source));
        log.start();
        log.logger.addAppender(log);
        log.logger.setLevel(Level.ALL);
        return log;
    }

    @Override
    public void append(LogEvent event) {
        events.add(event.toImmutable());
    }

    List<String> messages(Level level) {
        return List.copyOf(events).stream()
                .filter(event -> event.getLevel().equals(level))
                .map(event -> event.getMessage().getFormattedMessage())
                .toList();
    }

    @Override
    public void close() {
        logger.removeAppender(this);
        logger.setLevel(before);
        stop();
    }
}

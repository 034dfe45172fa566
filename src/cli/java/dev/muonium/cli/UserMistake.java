package dev.muonium.cli;

/**
 * Something that whoever typed the command can set right. The message is the whole of what is shown: a sentence that names
 * the thing, the value and the remedy.
 */
public final class UserMistake extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** @param sentence what is shown */
    public UserMistake(String sentence) {
        super(sentence);
    }

    /**
     * @param sentence what is shown
     * @param cause what {@code --debug} shows beneath it
     */
    public UserMistake(String sentence, Throwable cause) {
        super(sentence, cause);
    }
}

package dev.muonium.checkpoint;

import dev.muonium.checkpoint.JsonValue.JsonArray;
import dev.muonium.checkpoint.JsonValue.JsonNumber;
import dev.muonium.checkpoint.JsonValue.JsonObject;
import dev.muonium.checkpoint.JsonValue.JsonString;
import dev.muonium.checkpoint.JsonValue.JsonWord;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * JSON as RFC 8259 has it and not a bit more: no comments, no trailing commas, no second value, and no key twice in one
 * object. Nesting is limited, so that no input can exhaust the stack.
 */
final class JsonParser {
    /** What is wrong with a text, and where; the caller says in which file. */
    static final class JsonSyntaxException extends Exception {
        private static final long serialVersionUID = 1L;

        JsonSyntaxException(String message) {
            super(message);
        }
    }

    /** A safetensors header needs 3. */
    private static final int MAX_DEPTH = 32;

    private final String text;
    private int at;

    private JsonParser(String text) {
        this.text = text;
    }

    static JsonValue parse(String text) throws JsonSyntaxException {
        JsonParser parser = new JsonParser(text);
        parser.skipSpace();
        JsonValue value = parser.value(0);
        parser.skipSpace();
        if (parser.at < text.length()) {
            throw parser.unexpected("the end");
        }
        return value;
    }

    private JsonValue value(int depth) throws JsonSyntaxException {
        if (depth > MAX_DEPTH) {
            throw new JsonSyntaxException("it is nested deeper than " + MAX_DEPTH + " levels at character " + at);
        }
        return switch (peek()) {
            case '{' -> object(depth);
            case '[' -> array(depth);
            case '"' -> new JsonString(string());
            case 't' -> word("true", JsonWord.TRUE);
            case 'f' -> word("false", JsonWord.FALSE);
            case 'n' -> word("null", JsonWord.NULL);
            default -> number();
        };
    }

    private JsonObject object(int depth) throws JsonSyntaxException {
        Map<String, JsonValue> members = new LinkedHashMap<>();
        expect('{');
        skipSpace();
        if (peek() == '}') {
            at++;
            return new JsonObject(members);
        }
        while (true) {
            skipSpace();
            if (peek() != '"') {
                throw unexpected("a key in quotes");
            }
            String key = string();
            skipSpace();
            expect(':');
            skipSpace();
            if (members.putIfAbsent(key, value(depth + 1)) != null) {
                throw new JsonSyntaxException("the key '" + key + "' occurs twice in one object");
            }
            skipSpace();
            if (peek() == '}') {
                at++;
                return new JsonObject(members);
            }
            expect(',');
        }
    }

    private JsonArray array(int depth) throws JsonSyntaxException {
        List<JsonValue> items = new ArrayList<>();
        expect('[');
        skipSpace();
        if (peek() == ']') {
            at++;
            return new JsonArray(items);
        }
        while (true) {
            skipSpace();
            items.add(value(depth + 1));
            skipSpace();
            if (peek() == ']') {
                at++;
                return new JsonArray(items);
            }
            expect(',');
        }
    }

    private String string() throws JsonSyntaxException {
        expect('"');
        StringBuilder value = new StringBuilder();
        while (true) {
            char c = next("a closing quote");
            if (c == '"') {
                return value.toString();
            }
            if (c < ' ') {
                throw new JsonSyntaxException("a string holds a bare control character at character " + (at - 1));
            }
            value.append(c == '\\' ? escape() : c);
        }
    }

    private char escape() throws JsonSyntaxException {
        char c = next("an escape");
        return switch (c) {
            case '"', '\\', '/' -> c;
            case 'b' -> '\b';
            case 'f' -> '\f';
            case 'n' -> '\n';
            case 'r' -> '\r';
            case 't' -> '\t';
            case 'u' -> {
                int code = 0;
                for (int i = 0; i < 4; i++) {
                    int digit = Character.digit(next("four hexadecimal digits"), 16);
                    if (digit < 0) {
                        at--;
                        throw unexpected("four hexadecimal digits");
                    }
                    code = code << 4 | digit;
                }
                yield (char) code;
            }
            default -> {
                at--;
                throw unexpected("an escape");
            }
        };
    }

    private JsonWord word(String spelling, JsonWord word) throws JsonSyntaxException {
        if (!text.startsWith(spelling, at)) {
            throw unexpected("a value");
        }
        at += spelling.length();
        return word;
    }

    private JsonNumber number() throws JsonSyntaxException {
        int begin = at;
        if (peek() == '-') {
            at++;
        }
        if (peek() == '0') {
            at++;
        } else {
            digits();
        }
        if (peek() == '.') {
            at++;
            digits();
        }
        if (peek() == 'e' || peek() == 'E') {
            at++;
            if (peek() == '+' || peek() == '-') {
                at++;
            }
            digits();
        }
        return new JsonNumber(text.substring(begin, at));
    }

    private void digits() throws JsonSyntaxException {
        if (!isDigit(peek())) {
            throw unexpected("a value");
        }
        while (isDigit(peek())) {
            at++;
        }
    }

    private static boolean isDigit(char c) {
        return c >= '0' && c <= '9';
    }

    private void skipSpace() {
        while (at < text.length() && " \t\n\r".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
    }

    /** The next character, or NUL (which no JSON text has outside of strings) at the end. */
    private char peek() {
        return at < text.length() ? text.charAt(at) : 0;
    }

    private char next(String wanted) throws JsonSyntaxException {
        if (at == text.length()) {
            throw unexpected(wanted);
        }
        return text.charAt(at++);
    }

    private void expect(char wanted) throws JsonSyntaxException {
        if (peek() != wanted) {
            throw unexpected("'" + wanted + "'");
        }
        at++;
    }

    private JsonSyntaxException unexpected(String wanted) {
        String found = at == text.length() ? "it ends" : String.format("it has U+%04X", text.codePointAt(at));
        return new JsonSyntaxException(found + " at character " + at + ", where " + wanted + " is expected");
    }
}

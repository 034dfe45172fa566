package dev.muonium.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.muonium.checkpoint.JsonParser.JsonSyntaxException;
import dev.muonium.checkpoint.JsonValue.JsonArray;
import dev.muonium.checkpoint.JsonValue.JsonNumber;
import dev.muonium.checkpoint.JsonValue.JsonObject;
import dev.muonium.checkpoint.JsonValue.JsonString;
import dev.muonium.checkpoint.JsonValue.JsonWord;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class JsonParserTest {
    @Test
    void readsEveryKindOfValue() throws JsonSyntaxException {
        String text = " {\"a\" : [ 0 , -1.5e+3, true,false,null], \"\\u00fc\\n"
                + "\\\"\\\\\\/\" : \"\uD83D\uDE00\", \"o\":{},\"e\":[]} ";

        assertEquals(
                new JsonObject(Map.of(
                        "a",
                        new JsonArray(List.of(
                                new JsonNumber("0"),
                                new JsonNumber("-1.5e+3"),
                                JsonWord.TRUE,
                                JsonWord.FALSE,
                                JsonWord.NULL)),
                        "ü\n\"\\/",
                        new JsonString("\uD83D\uDE00"),
                        "o",
                        new JsonObject(Map.of()),
                        "e",
                        new JsonArray(List.of()))),
                JsonParser.parse(text));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                " ",
                "{",
                "[",
                "[1,]",
                "{\"a\":1,}",
                "{a:1}",
                "{'a':1}",
                "01",
                "1.",
                ".5",
                "+1",
                "-",
                "1e",
                "tru",
                "nul",
                "NaN",
                "Infinity",
                "\"",
                "\"\\x\"",
                "\"\\u12g4\"",
                "\"a\nb\"",
                "1 2",
                "[1 2]",
                "{\"a\" 1}",
                "// c\n1",
                "\u00a01",
                "{\"a\":1,\"a\":1}"
            })
    void refusesWhatIsNotJson(String text) {
        assertThrows(JsonSyntaxException.class, () -> JsonParser.parse(text));
    }

    @Test
    void saysWhereAndWhat() {
        var e = assertThrows(JsonSyntaxException.class, () -> JsonParser.parse("[1;2]"));
        assertEquals("it has U+003B at character 2, where ',' is expected", e.getMessage());
    }
}

# Sourced: find_jdk MAJOR prints the home of a JDK of that version, or fails.
# It looks where the build's own discovery looks: the environment, the PATH, Maven's toolchains, the usual folders.

jdk_major() {
    [ -x "$1/bin/javac" ] || return 1
    if [ -r "$1/release" ]; then
        sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release"
    else
        "$1/bin/javac" -version 2>&1 | sed -n 's/^javac \([0-9]*\).*/\1/p'
    fi
}

find_jdk() {
    local major=$1 home named="JAVA${1}_HOME" on_path
    on_path=$(command -v javac || true)
    while IFS= read -r home; do
        [ -n "$home" ] && [ "$(jdk_major "$home")" = "$major" ] && { printf '%s\n' "$home"; return 0; }
    done < <(
        printf '%s\n' "${JAVA_HOME:-}" "${!named:-}"
        [ -z "$on_path" ] || dirname "$(dirname "$(readlink -f "$on_path")")"
        sed -n 's|.*<jdkHome>\(.*\)</jdkHome>.*|\1|p' "$HOME/.m2/toolchains.xml" 2>/dev/null
        compgen -G "/usr/lib/jvm/*"
        compgen -G "/usr/java/*"
        compgen -G "/opt/*jdk*"
        compgen -G "$HOME/.jdks/*"
        compgen -G "$HOME/.sdkman/candidates/java/*"
        compgen -G "$HOME/.asdf/installs/java/*"
    )
    return 1
}

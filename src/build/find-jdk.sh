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

jdk_candidates() {
    local named="JAVA${1}_HOME" on_path
    printf '%s\n' "${JAVA_HOME:-}" "${!named:-}"
    on_path=$(command -v javac) && dirname "$(dirname "$(readlink -f "$on_path")")"
    if [ -r "$HOME/.m2/toolchains.xml" ]; then
        sed -n 's|.*<jdkHome>\(.*\)</jdkHome>.*|\1|p' "$HOME/.m2/toolchains.xml"
    fi
    # A pattern without a match stays as it is, which is no JDK either.
    printf '%s\n' /usr/lib/jvm/* /usr/java/* /opt/*jdk* \
        "$HOME"/.jdks/* "$HOME"/.sdkman/candidates/java/* "$HOME"/.asdf/installs/java/*
}

find_jdk() {
    local home
    while IFS= read -r home; do
        if [ -n "$home" ] && [ "$(jdk_major "$home")" = "$1" ]; then
            printf '%s\n' "$home"
            return 0
        fi
    done < <(set +e; jdk_candidates "$1")
    return 1
}

# find_newer_jdk MAJOR prints the home of the newest JDK after that version, or fails.
find_newer_jdk() {
    local home major newest=$1 found=
    while IFS= read -r home; do
        if [ -n "$home" ] && major=$(jdk_major "$home") && [ "${major:-0}" -gt "$newest" ]; then
            newest=$major
            found=$home
        fi
    done < <(set +e; jdk_candidates "$1"; env | sed -n 's/^JAVA[0-9]\{1,\}_HOME=//p')
    [ -n "$found" ] && printf '%s\n' "$found"
}

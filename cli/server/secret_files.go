package server

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

const secretBytesMax = 64 << 10

// secretFiles resolves flags with the tag "secret" from files: NAME_FILE names one, where NAME is the flag's variable. A
// secret in a file is neither in the environment nor on the command line, which other processes of the user can read.
func secretFiles(getenv func(string) string) kong.Resolver {
	var find kong.ResolverFunc = func(_ *kong.Context, _ *kong.Path, f *kong.Flag) (any, error) {
		if !f.Tag.Has("secret") {
			return nil, nil
		}
		for _, name := range f.Envs {
			file := getenv(name + "_FILE")
			switch given := getenv(name) != ""; {
			case given && file != "":
				return nil, fmt.Errorf("%s and %s_FILE are both set", name, name)
			case given:
				return nil, nil
			case file != "":
				return readSecret(name+"_FILE", file, f.Target.Kind() == reflect.Slice)
			}
		}
		return nil, nil
	}
	return find
}

// readSecret returns the content of a file without the end of its last line; of a list, each line is an element.
func readSecret(name, file string, list bool) (string, error) {
	in, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	defer func() { _ = in.Close() }()
	text, err := io.ReadAll(io.LimitReader(in, secretBytesMax+1))
	secret := strings.TrimRight(string(text), "\r\n")
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %w", name, err)
	case len(text) > secretBytesMax:
		return "", fmt.Errorf("%s: %s is too long for a secret", name, file)
	case secret == "":
		return "", fmt.Errorf("%s: %s is empty", name, file)
	case list:
		return strings.Join(strings.Fields(secret), ","), nil
	case strings.ContainsAny(secret, "\r\n"):
		return "", fmt.Errorf("%s: %s has more than one line", name, file)
	}
	return secret, nil
}

package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// secretVariables are all variables that hold a secret.
var secretVariables = []string{
	"DATABASE_URL", "LOADER_DATABASE_URL", "MIGRATE_DATABASE_URL", "WEBHOOK_SECRETS", "MILLRACE_CUSTOMER_SECRET",
}

// TestEverySecretHasAFile: all flags of all commands that read a variable with a secret read NAME_FILE too, and the page
// names each.
func TestEverySecretHasAFile(t *testing.T) {
	parser, err := kong.New(new(commandLine))
	if err != nil {
		t.Fatal(err)
	}
	secret := map[string]bool{}
	for _, name := range secretVariables {
		secret[name] = true
	}
	found := map[string]bool{}
	_ = kong.Visit(parser.Model, func(node kong.Visitable, next kong.Next) error {
		if f, ok := node.(*kong.Flag); ok {
			for _, name := range f.Envs {
				if found[name] = true; secret[name] != f.Tag.Has("secret") {
					t.Errorf("--%s (%s) is a secret: %t, has the tag: %t", f.Name, name, secret[name], f.Tag.Has("secret"))
				}
				if strings.Contains(name, "SECRET") && !secret[name] {
					t.Errorf("%s looks like a secret", name)
				}
			}
		}
		return next(nil)
	})
	page, err := os.ReadFile("docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range secretVariables {
		if !found[name] || !strings.Contains(string(page), "`"+name+"_FILE`") {
			t.Errorf("%s: a flag's: %t; or %s_FILE is not in docs/operations.md", name, found[name], name)
		}
	}
}

func TestSecretFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	url := file("url", "postgres://u:p@h/d\n")
	for name, test := range map[string]struct {
		env       map[string]string
		args      []string
		want, err string
	}{
		"file":           {map[string]string{"DATABASE_URL_FILE": url}, nil, "postgres://u:p@h/d", ""},
		"flag":           {map[string]string{"DATABASE_URL_FILE": url}, []string{"--database-url=x"}, "x", ""},
		"nothing":        {nil, nil, "", ""},
		"both":           {map[string]string{"DATABASE_URL": "x", "DATABASE_URL_FILE": url}, nil, "", "are both set"},
		"no file":        {map[string]string{"DATABASE_URL_FILE": dir + "/none"}, nil, "", "DATABASE_URL_FILE"},
		"a directory":    {map[string]string{"DATABASE_URL_FILE": dir}, nil, "", "DATABASE_URL_FILE"},
		"empty":          {map[string]string{"DATABASE_URL_FILE": file("empty", "\n")}, nil, "", "is empty"},
		"two lines":      {map[string]string{"DATABASE_URL_FILE": file("two", "a\nb\n")}, nil, "", "more than one line"},
		"long":           {map[string]string{"DATABASE_URL_FILE": file("long", strings.Repeat("x", 70_000))}, nil, "", "too long"},
		"Windows' lines": {map[string]string{"DATABASE_URL_FILE": file("crlf", "x y\r\n")}, nil, "x y", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var command serveCommand
			parser, err := kong.New(&command, kong.Resolvers(secretFiles(func(name string) string { return test.env[name] })))
			if err != nil {
				t.Fatal(err)
			}
			_, err = parser.Parse(test.args)
			switch {
			case test.err == "" && err != nil, test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
				t.Errorf("%v, want %q", err, test.err)
			case err != nil && strings.Contains(err.Error(), "u:p"):
				t.Errorf("the error quotes a secret: %v", err)
			case test.err == "" && command.DatabaseURL != test.want:
				t.Errorf("got %q", command.DatabaseURL)
			}
		})
	}
	var command serveCommand
	env := map[string]string{
		"WEBHOOK_SECRETS_FILE": file("hooks", "whsec_a\nwhsec_b\n"), "MILLRACE_CUSTOMER_SECRET_FILE": file("customer", "c c\n"),
	}
	parser, err := kong.New(&command, kong.Resolvers(secretFiles(func(name string) string { return env[name] })))
	if err == nil {
		_, err = parser.Parse(nil)
	}
	if err != nil || len(command.WebhookSecrets) != 2 || command.WebhookSecrets[1] != "whsec_b" || command.CustomerSecret != "c c" {
		t.Errorf("%v: %q, %q", err, command.WebhookSecrets, command.CustomerSecret)
	}
}

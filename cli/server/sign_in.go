package server

import (
	"fmt"
	"html"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/retainwise/millrace/cli"
	"github.com/retainwise/millrace/serve"
)

// Files of the data directory with the development token of the latest start. Only this user can read them, as is the key
// beside them that the token is signed with.
const (
	tokenFile  = "development-token"
	signInFile = "page.html"
)

// keepToken writes the token, and a page that opens the server's page with it, and returns the names of both files.
func keepToken(dir string, s serve.Started) (token, page string, err error) {
	token, page = filepath.Join(dir, tokenFile), filepath.Join(dir, signInFile)
	link := html.EscapeString(s.API + "/#token=" + s.Token) // in the fragment, which browsers do not send
	text := `<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer"><title>millrace</title>` +
		`<meta http-equiv="refresh" content="0;url=` + link + `"><a href="` + link + "\">millrace</a>\n"
	if err := replaceFile(token, s.Token+"\n"); err != nil {
		return "", "", fmt.Errorf("keep the token: %w", err)
	}
	if err := replaceFile(page, text); err != nil {
		return "", "", fmt.Errorf("keep the token: %w", err)
	}
	return token, page, nil
}

// replaceFile writes a file that only this user can read, whole or not at all.
func replaceFile(name, text string) error {
	if err := os.WriteFile(name+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// fileURL returns the address of a local file.
func fileURL(name string) string {
	path := filepath.ToSlash(name)
	if !strings.HasPrefix(path, "/") { // a drive of Windows
		path = "/" + path
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}

// shellWord quotes a text for a shell if it needs that.
func shellWord(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+@:", r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	return cli.SingleQuoted(text)
}

package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const root = "../.."

// program stands in for millrace, which takes long to link. It has one module of others, a manual and completions.
const program = `package main

import (
	"fmt"
	"os"

	"github.com/google/uuid"
)

func main() {
	switch os.Args[1] {
	case "man":
		fmt.Println(%s)
		return
	case "completion":
		fmt.Println("complete for", os.Args[2])
		return
	}
	fmt.Fprintln(os.Stderr, "millrace: unexpected argument "+os.Args[1], uuid.Nil)
	os.Exit(1)
}
`

// committed is when everything in the test's repository was committed.
var committed = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)

// repository makes one with the real files around a small program, whose manual is the Go expression given.
func repository(t *testing.T, manual string) string {
	t.Helper()
	dir := t.TempDir()
	for _, pattern := range []string{
		"go.mod", "go.sum", "LICENSE", "README.md", "CHANGELOG.md", "deploy/systemd/*", pagesFolder + "/README.md", pagesFolder + "/LICENSE*",
	} {
		names, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v, %v", pattern, names, err)
		}
		for _, name := range names {
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			own, _ := filepath.Rel(root, name)
			write(t, filepath.Join(dir, own), string(content))
		}
	}
	write(t, filepath.Join(dir, "main.go"), fmt.Sprintf(program, manual))
	commit(t, dir)
	return dir
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func commit(t *testing.T, dir string) {
	t.Helper()
	date := committed.Format(time.RFC3339)
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "--all"}, {"commit", "--quiet", "--message", "x"}, {"tag", "v1.2.3"}} {
		command := exec.Command("git", append([]string{"-c", "user.name=x", "-c", "user.email=x@example.com", "-C", dir}, args...)...)
		command.Env = append(os.Environ(), "GIT_COMMITTER_DATE="+date, "GIT_AUTHOR_DATE="+date, "GIT_CONFIG_GLOBAL="+os.DevNull)
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
}

// buildTools makes the two that a release needs, as make does.
func buildTools(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for tool, file := range map[string]string{
		"github.com/goreleaser/nfpm/v2/cmd/nfpm":                   "tools.mod",
		"github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod": "audit.mod",
	} {
		_, err := output(t.Context(), root, []string{"CGO_ENABLED=0"}, "go", "build", "-modfile=tools/go."+file,
			"-o", filepath.Join(dir, filepath.Base(tool)), tool)
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestReleaseIsWholeAndTheSameTwice(t *testing.T) {
	source, tools := repository(t, `".TH MILLRACE 1"`), buildTools(t)
	write(t, filepath.Join(source, "deploy", "systemd", "environment"), "not committed")
	one, two := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "two")
	write(t, filepath.Join(one, "from before"), "x")
	for _, out := range []string{one, two} {
		if err := publish(t.Context(), source, tools, out, []string{"linux/amd64", "windows/amd64"}); err != nil {
			t.Fatal(err)
		}
	}
	names := map[string]bool{}
	for _, name := range []string{
		"linux_amd64.tar.gz", "linux_amd64.deb", "linux_amd64.rpm", "linux_amd64.cdx.json", "windows_amd64.zip", "windows_amd64.cdx.json",
	} {
		names["millrace_1.2.3_"+name] = true
	}
	sums := string(read(t, filepath.Join(one, sumsFile)))
	entries, err := os.ReadDir(one)
	if err != nil || len(entries) != len(names)+1 {
		t.Errorf("wrote %v (%v)", entries, err)
	}
	for name := range names {
		if !bytes.Equal(read(t, filepath.Join(one, name)), read(t, filepath.Join(two, name))) {
			t.Errorf("%s is not the same twice", name)
		}
		sum, err := digest(filepath.Join(one, name))
		if err != nil || !strings.Contains(sums, fmt.Sprintf("%x  %s\n", sum, name)) {
			t.Errorf("no digest of %s (%v)", name, err)
		}
	}
	t.Run("archives", func(t *testing.T) { checkArchives(t, one) })
	t.Run("deb", func(t *testing.T) { checkDeb(t, filepath.Join(one, "millrace_1.2.3_linux_amd64.deb")) })
	t.Run("rpm", func(t *testing.T) {
		if text := read(t, filepath.Join(one, "millrace_1.2.3_linux_amd64.rpm")); !bytes.HasPrefix(text, []byte("\xed\xab\xee\xdb")) ||
			!bytes.Contains(text, []byte("millrace-1.2.3-1")) {
			t.Error("no rpm of version 1.2.3")
		}
	})
	t.Run("bill", func(t *testing.T) {
		bill := string(read(t, filepath.Join(one, "millrace_1.2.3_windows_amd64.cdx.json")))
		for _, want := range []string{"pkg:golang/github.com/google/uuid@v", "pkg:npm/redoc@", "pkg:npm/swagger-ui-dist@", `"version": "1.2.3"`} {
			if !strings.Contains(bill, want) {
				t.Errorf("no %s", want)
			}
		}
	})
}

func checkArchives(t *testing.T, dir string) {
	common := "CHANGELOG.md LICENSE README.md THIRD-PARTY-NOTICES.txt _millrace millrace"
	linux := untar(t, gunzip(t, read(t, filepath.Join(dir, "millrace_1.2.3_linux_amd64.tar.gz"))))
	if got, want := listed(linux, "millrace_1.2.3_linux_amd64/"), common+" millrace.1 millrace.bash millrace.fish millrace.service"; got != want {
		t.Errorf("for Linux: %s", got)
	}
	for _, f := range linux {
		if want := fs.FileMode(0o644); f.mode != want && !(f.mode == 0o755 && strings.HasSuffix(f.name, "/millrace")) {
			t.Errorf("%s has mode %v", f.name, f.mode)
		}
	}
	packed := read(t, filepath.Join(dir, "millrace_1.2.3_windows_amd64.zip"))
	archive, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}
	var windows []file
	for _, f := range archive.File {
		windows = append(windows, file{name: f.Name})
		if !f.Modified.Equal(committed) {
			t.Errorf("%s is of %v", f.Name, f.Modified)
		}
	}
	if got, want := listed(windows, "millrace_1.2.3_windows_amd64/"), strings.TrimSuffix(common, "millrace")+"millrace.1 millrace.bash millrace.exe millrace.fish"; got != want {
		t.Errorf("for Windows: %s", got)
	}
}

// checkDeb reads a deb as what it is: an ar of two tar.gz.
func checkDeb(t *testing.T, name string) {
	parts := unar(t, read(t, name))
	control := untar(t, gunzip(t, parts["control.tar.gz"]))
	for _, f := range control {
		if f.name == "./control" && !strings.Contains(string(f.content), "\nVersion: 1.2.3-1\nSection: database\n") {
			t.Errorf("control: %s", f.content)
		}
	}
	if got := listed(control, "./"); !strings.Contains(got, "postinst prerm") {
		t.Errorf("scripts: %s", got)
	}
	completes := false
	for _, f := range untar(t, gunzip(t, parts["data.tar.gz"])) {
		content, mode := string(f.content), fs.FileMode(0o644)
		switch f.name {
		case "./usr/bin/millrace":
			mode = 0o755
		case "./etc/millrace/environment":
			mode = 0o600
			if content == "not committed" {
				t.Error("what was not committed is in it")
			}
		case "./usr/lib/systemd/system/millrace.service":
			if !strings.Contains(content, "\nExecStart=/usr/bin/millrace serve\n") {
				t.Error("the unit starts another program")
			}
		case "./usr/share/bash-completion/completions/millrace":
			if content != "complete for bash\n" {
				t.Errorf("completes %q", content)
			}
			completes = true
		case "./usr/share/man/man1/millrace.1.gz":
			if page := string(gunzip(t, f.content)); page != ".TH MILLRACE 1\n" {
				t.Errorf("manual: %q", page)
			}
		}
		if strings.HasSuffix(f.name, "/") {
			mode = 0o755
		}
		if f.mode != mode {
			t.Errorf("%s has mode %v", f.name, f.mode)
		}
	}
	if !completes {
		t.Error("no completion")
	}
}

// listed are the names of files without what they begin with.
func listed(files []file, before string) string {
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimPrefix(f.name, before))
	}
	return strings.Join(names, " ")
}

func gunzip(t *testing.T, packed []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// untar refuses files that are not root's or of another time.
func untar(t *testing.T, plain []byte) (files []file) {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader(plain)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || !h.ModTime.Equal(committed) {
			t.Errorf("%s is %d's, of %v", h.Name, h.Uid, h.ModTime)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file{name: h.Name, mode: fs.FileMode(h.Mode), content: content})
	}
}

func unar(t *testing.T, content []byte) map[string][]byte {
	t.Helper()
	parts := map[string][]byte{}
	for rest := bytes.TrimPrefix(content, []byte("!<arch>\n")); len(rest) >= 60; {
		size, err := strconv.Atoi(strings.TrimSpace(string(rest[48:58])))
		if err != nil {
			t.Fatal(err)
		}
		parts[strings.TrimRight(string(rest[:16]), " /")] = rest[60 : 60+size]
		rest = rest[60+size+size%2:]
	}
	return parts
}

func TestCommandsThatAreNotThereAreLeftOut(t *testing.T) {
	for manual, want := range map[string]string{
		`".TH X 1"`:             "millrace.1 millrace.bash _millrace millrace.fish",
		`""`:                    "it is empty",
		`string(os.Args[1][9])`: "out of range",
	} {
		files, err := printFiles(t.Context(), repository(t, manual), t.TempDir())
		if got := listed(files, ""); got != want && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %s, %v", manual, got, err)
		}
	}
	source := repository(t, `"x"`)
	write(t, filepath.Join(source, "main.go"), strings.Replace(fmt.Sprintf(program, "0"), `"man"`, `"manual"`, 1))
	commitAgain(t, source)
	files, err := printFiles(t.Context(), source, t.TempDir())
	if got := listed(files, ""); err != nil || got != "millrace.bash _millrace millrace.fish" {
		t.Errorf("%s, %v", got, err)
	}
}

func commitAgain(t *testing.T, dir string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(dir, ".git")); err != nil {
		t.Fatal(err)
	}
	commit(t, dir)
}

func TestBuildRefusesWhatIsNotACommit(t *testing.T) {
	source := repository(t, `"x"`)
	r, err := build(t.Context(), source, t.TempDir(), "darwin/arm64")
	if err != nil || r.version != "1.2.3" || !r.moment.Equal(committed) {
		t.Errorf("%s of %v, %v", r.version, r.moment, err)
	}
	write(t, filepath.Join(source, "main.go"), fmt.Sprintf(program, `"y"`))
	if r, err := build(t.Context(), source, t.TempDir(), "darwin/arm64"); err == nil {
		t.Errorf("built %s of what is not committed", r.version)
	}
	if _, err := build(t.Context(), source, t.TempDir(), "linux"); err == nil {
		t.Error("built for linux without a processor")
	}
}

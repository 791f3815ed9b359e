package deploy_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Without an engine that builds images, the file is read, and what it runs in its first stage is run here.

// stage is what follows a FROM.
type stage struct {
	base, name string
	lines      [][2]string // instruction and the rest
}

// stages reads the Containerfile; before are the arguments that its FROM lines may use.
func stages(t *testing.T) (found []stage, before map[string]string) {
	t.Helper()
	text, err := os.ReadFile("container/Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	before = map[string]string{}
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", "")) {
		instruction, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case instruction == "" || strings.HasPrefix(instruction, "#"):
		case instruction == "ARG" && found == nil:
			name, fallback, _ := strings.Cut(rest, "=")
			before[name] = fallback
		case instruction == "FROM":
			base, name, _ := strings.Cut(rest, " AS ")
			found = append(found, stage{base: base, name: name})
		default:
			last := &found[len(found)-1]
			last.lines = append(last.lines, [2]string{instruction, rest})
		}
	}
	return found, before
}

// all gives the rest of every line with an instruction, which must be there.
func (s stage) all(t *testing.T, instruction string) (rests []string) {
	t.Helper()
	for _, line := range s.lines {
		if line[0] == instruction {
			rests = append(rests, line[1])
		}
	}
	if rests == nil {
		t.Fatalf("no %s from %s", instruction, s.base)
	}
	return rests
}

// copied is one COPY.
type copied struct {
	from, owner string
	sources     []string
	target      string
}

func (s stage) copies(t *testing.T) (list []copied) {
	t.Helper()
	for _, rest := range s.all(t, "COPY") {
		var c copied
		for _, word := range strings.Fields(rest) {
			if from, ok := strings.CutPrefix(word, "--from="); ok {
				c.from = from
			} else if owner, ok := strings.CutPrefix(word, "--chown="); ok {
				c.owner = owner
			} else {
				c.sources = append(c.sources, word)
			}
		}
		last := len(c.sources) - 1
		c.sources, c.target = c.sources[:last], c.sources[last]
		list = append(list, c)
	}
	return list
}

func TestImageIsMinimalAndNotRoots(t *testing.T) {
	found, before := stages(t)
	if len(found) != 2 || found[0].base != "${GO_IMAGE}" || found[1].base != "scratch" {
		t.Fatalf("stages %v", found)
	}
	text, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	goVersion := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(string(text))[1]
	if want := "golang:" + goVersion; before["GO_IMAGE"] != want {
		t.Errorf("compiled by %s, go.mod wants %s", before["GO_IMAGE"], want)
	}
	image := found[1]
	user := image.all(t, "USER")[0]
	if !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(user) { // Kubernetes believes numbers only
		t.Errorf("user %s", user)
	}
	settings := strings.Fields(image.all(t, "ENV")[0])
	for _, want := range []string{"MILLRACE_DATA_DIR=" + image.all(t, "VOLUME")[0], "MILLRACE_LISTEN=:8080", "MILLRACE_ADMIN_LISTEN=:9090"} {
		if !slices.Contains(settings, want) {
			t.Errorf("%s is not set", want)
		}
	}
	if ports := image.all(t, "EXPOSE")[0]; ports != "8080 9090" {
		t.Errorf("ports %s", ports)
	}
	owned := map[string]string{}
	for _, c := range image.copies(t) {
		if c.from != found[0].name {
			t.Errorf("%v does not come from what was built", c)
		}
		owned[c.target] = c.owner
	}
	for _, dir := range []string{image.all(t, "VOLUME")[0], "/tmp"} {
		if owned[dir] != user {
			t.Errorf("%s belongs to %q", dir, owned[dir])
		}
	}
	if owned["/millrace"] != "" {
		t.Error("the program can replace itself")
	}
}

// TestImageIsBuilt runs what the first stage runs, in this tree instead of /src and with a directory instead of /out, takes
// what the image takes, and starts it as the image does.
func TestImageIsBuilt(t *testing.T) {
	found, _ := stages(t)
	out, image := t.TempDir(), t.TempDir()
	for _, c := range found[0].copies(t) {
		for _, source := range c.sources {
			if _, err := os.Stat(filepath.Join("..", source)); err != nil || ignored(t, source) {
				t.Errorf("%s cannot be copied: %v", source, err)
			}
		}
	}
	for _, run := range found[0].all(t, "RUN") {
		command := exec.Command("sh", "-c", strings.ReplaceAll(run, "/out", out))
		command.Dir = ".."
		if printed, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", run, err, printed)
		}
	}
	for _, c := range found[1].copies(t) {
		for _, source := range c.sources {
			if !strings.HasPrefix(source, "/etc/ssl/") { // the base image's
				c.take(t, source, out, image)
			}
		}
	}
	words := append(list(t, found[1].all(t, "ENTRYPOINT")[0]), list(t, found[1].all(t, "CMD")[0])...)
	printed, err := exec.Command(filepath.Join(image, words[0]), append(words[1:], "--help")...).Output()
	if err != nil || !strings.Contains(string(printed), "Usage: millrace serve") {
		t.Errorf("%v: %s", err, printed)
	}
	notices, err := os.ReadFile(filepath.Join(image, "licenses", "THIRD-PARTY-NOTICES.txt"))
	if err != nil || len(notices) < 100_000 {
		t.Errorf("%d bytes of notices, %v", len(notices), err)
	}
}

// take copies one source from the tree or from what was made into the image.
func (c copied) take(t *testing.T, source, out, image string) {
	t.Helper()
	at := strings.NewReplacer("/out/", out+"/", "/src/", "../").Replace(source)
	target := filepath.Join(image, c.target)
	if strings.HasSuffix(c.target, "/") {
		target = filepath.Join(target, path.Base(source))
	}
	if ignored(t, strings.TrimPrefix(source, "/src/")) {
		t.Errorf("%s is not in the context", source)
	}
	err := os.MkdirAll(filepath.Dir(target), 0o755)
	if printed, failed := exec.Command("cp", "-R", at, target).CombinedOutput(); err != nil || failed != nil {
		t.Errorf("%s is not made: %v, %v: %s", source, err, failed, printed)
	}
}

// list reads the only form of a command that needs no shell.
func list(t *testing.T, text string) (words []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &words); err != nil || len(words) == 0 {
		t.Fatalf("%s: %v", text, err)
	}
	return words
}

// ignored says that the engine does not get a file of the tree.
func ignored(t *testing.T, name string) bool {
	t.Helper()
	text, err := os.ReadFile("../.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range strings.Fields(string(text)) {
		if name == pattern || strings.HasPrefix(name, pattern+"/") {
			return true
		}
	}
	return false
}

// TestLicenceIsOne holds the text against what the API's document and the packages name.
func TestLicenceIsOne(t *testing.T) {
	const name = "LicenseRef-RetainWise"
	for file, want := range map[string]string{
		"../LICENSE": "(" + name + ")\n", "../serve/internal/api/openapi.yaml": "\n    identifier: " + name + "\n",
		"release/nfpm.yaml.tmpl": "\nlicense: " + name + "\n",
	} {
		if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s does not say %q (%v)", file, want, err)
		}
	}
}

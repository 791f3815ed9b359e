package deploy_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// kinds are the types that the manifests use, as Kubernetes itself declares them.
var kinds = map[string]func() any{
	"v1 Namespace":                           func() any { return new(corev1.Namespace) },
	"v1 ServiceAccount":                      func() any { return new(corev1.ServiceAccount) },
	"v1 ConfigMap":                           func() any { return new(corev1.ConfigMap) },
	"v1 Service":                             func() any { return new(corev1.Service) },
	"apps/v1 Deployment":                     func() any { return new(appsv1.Deployment) },
	"batch/v1 Job":                           func() any { return new(batchv1.Job) },
	"policy/v1 PodDisruptionBudget":          func() any { return new(policyv1.PodDisruptionBudget) },
	"autoscaling/v2 HorizontalPodAutoscaler": func() any { return new(autoscalingv2.HorizontalPodAutoscaler) },
	"networking.k8s.io/v1 NetworkPolicy":     func() any { return new(networkingv1.NetworkPolicy) },
}

// manifests decodes every object strictly: an unknown or misspelt field is an error.
func manifests(t *testing.T) (objects []any) {
	t.Helper()
	files, err := filepath.Glob("kubernetes/*.yaml")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range bytes.Split(text, []byte("\n---\n")) {
			var head struct{ APIVersion, Kind string }
			if err := yaml.Unmarshal(document, &head); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if head.Kind == "Kustomization" {
				continue
			}
			make, known := kinds[head.APIVersion+" "+head.Kind]
			if !known {
				t.Errorf("%s: unknown kind %s %s", file, head.APIVersion, head.Kind)
				continue
			}
			object := make()
			if err := yaml.UnmarshalStrict(document, object); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			objects = append(objects, object)
		}
	}
	return objects
}

// pods are the pod templates by name.
func pods(t *testing.T) map[string]corev1.PodSpec {
	t.Helper()
	found := map[string]corev1.PodSpec{}
	for _, o := range manifests(t) {
		switch o := o.(type) {
		case *appsv1.Deployment:
			found[o.Name] = o.Spec.Template.Spec
		case *batchv1.Job:
			found[o.Name] = o.Spec.Template.Spec
		}
	}
	return found
}

func TestPodsAreConfined(t *testing.T) {
	for name, pod := range pods(t) {
		if s := pod.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.SeccompProfile == nil {
			t.Errorf("%s: runs as root, or without seccomp", name)
		}
		if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
			t.Errorf("%s: has a token of the cluster", name)
		}
		for _, c := range pod.Containers {
			s := c.SecurityContext
			if s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation ||
				s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem ||
				s.Capabilities == nil || !slices.Contains(s.Capabilities.Drop, "ALL") {
				t.Errorf("%s: container is not confined", name)
			}
			if c.Resources.Limits.Memory().IsZero() {
				t.Errorf("%s: no limit of memory", name)
			}
		}
	}
}

// drain is longer than what a process takes to give back what is in hand, in seconds: 25, after its drain delay.
const drain = 30

// delay is the drain delay of a container in seconds.
func delay(t *testing.T, c corev1.Container) int64 {
	t.Helper()
	for _, v := range c.Env {
		if v.Name == "MILLRACE_DRAIN_DELAY" {
			d, err := time.ParseDuration(v.Value)
			if err != nil {
				t.Fatal(err)
			}
			return int64(d.Seconds())
		}
	}
	return 5 // of an API that does not say
}

func TestPodsHaveTimeToStop(t *testing.T) {
	for name, pod := range pods(t) {
		if strings.HasSuffix(name, "migrate") {
			continue
		}
		if g := pod.TerminationGracePeriodSeconds; g == nil || *g < drain+delay(t, pod.Containers[0]) {
			t.Errorf("%s: killed before it has given back its parts", name)
		}
	}
}

// help is what the program says of itself.
func help(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(buildMillrace(t), append(args, "--help")...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

var environment = regexp.MustCompile(`\$([A-Z][A-Z0-9_]+)\)`)

// known are the variables that the program reads, and two of others: the Go runtime's, and AWS's way to credentials.
func known(t *testing.T) map[string]bool {
	names := map[string]bool{"GOMEMLIMIT": true}
	for _, found := range environment.FindAllStringSubmatch(help(t, "serve"), -1) {
		names[found[1]] = true
	}
	return names
}

// TestManifestsUseKnownVariables holds variables, flags, ports and commands against the program.
func TestManifestsUseKnownVariables(t *testing.T) {
	names, flags := known(t), help(t, "serve")
	if len(names) < 15 {
		t.Fatalf("found %d variables in the program's help", len(names))
	}
	for _, o := range manifests(t) {
		if c, ok := o.(*corev1.ConfigMap); ok {
			for name := range c.Data {
				if !names[name] {
					t.Errorf("%s: the program does not read %s", c.Name, name)
				}
			}
			if c.Data["MILLRACE_LISTEN"] != ":8080" || c.Data["MILLRACE_ADMIN_LISTEN"] != ":9090" {
				t.Error("the listeners are not where the ports say")
			}
		}
	}
	for name, pod := range pods(t) {
		for _, c := range pod.Containers {
			for _, v := range c.Env {
				if !names[v.Name] {
					t.Errorf("%s: the program does not read %s", name, v.Name)
				}
			}
			for _, arg := range c.Args {
				if flag, _, ok := strings.Cut(arg, "="); ok && !strings.Contains(flags, flag+"=") {
					t.Errorf("%s: the program has no flag %s", name, flag)
				}
			}
			for _, p := range c.Ports {
				if p.Name == "api" && p.ContainerPort != 8080 || p.Name == "admin" && p.ContainerPort != 9090 {
					t.Errorf("%s: port %s is %d", name, p.Name, p.ContainerPort)
				}
			}
		}
	}
	_ = help(t, "migrate", "up") // the command of the job
}

var assigned = regexp.MustCompile(`(?m)(?:^Environment=|^ENV | )([A-Z][A-Z_]+)=`)

func TestOtherFilesUseKnownVariables(t *testing.T) {
	names := known(t)
	for _, file := range []string{"systemd/millrace.service", "systemd/environment", "container/Containerfile"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := assigned.FindAllStringSubmatch(string(text), -1)
		if len(found) == 0 {
			t.Errorf("%s sets nothing", file)
		}
		for _, f := range found {
			if !names[f[1]] && f[1] != "CGO_ENABLED" && f[1] != "GO_IMAGE" {
				t.Errorf("%s: the program does not read %s", file, f[1])
			}
		}
	}
}

// TestBucketRetentionMatchesProgram holds the bucket's lifecycle against the program's settings: the bucket may not delete what a
// prediction still shows, nor what is outside millrace's folders.
func TestBucketRetentionMatchesProgram(t *testing.T) {
	read := func(file string) string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	bucket, variables := read("terraform/bucket.tf"), read("terraform/variables.tf")
	_, days, found := strings.Cut(variables, `variable "retention_days"`)
	if !found {
		t.Fatal("no variable")
	}
	fallback := regexp.MustCompile(`default\s+= (\d+)`).FindStringSubmatch(days)[1]
	if !strings.Contains(read("kubernetes/configuration.yaml"), "\n  MILLRACE_RETAIN: "+fallback+"d ") {
		t.Errorf("the manifests do not retain for %s days", fallback)
	}
	if !strings.Contains(read("terraform/outputs.tf"), `MILLRACE_RETAIN = var.retention_days`) {
		t.Error("the manifests do not set the bucket's retention")
	}
	parsed, diagnostics := hclparse.NewParser().ParseHCL([]byte(bucket), "bucket.tf")
	if diagnostics.HasErrors() {
		t.Fatal(diagnostics)
	}
	expirations := 0
	var walk func(body *hclsyntax.Body, path string)
	walk = func(body *hclsyntax.Body, path string) {
		for _, b := range body.Blocks {
			if b.Type == "expiration" {
				expirations++
				if path != "resource.dynamic.content" || body.Blocks[0].Type != "filter" ||
					body.Blocks[0].Body.Attributes["prefix"] == nil {
					t.Errorf("%s: expires what is outside millrace's folders", path)
				}
				days := b.Body.Attributes["days"].Expr.Range()
				if got := string(days.SliceBytes([]byte(bucket))); got != "var.retention_days + local.retention_slack_days" {
					t.Errorf("after %s", got)
				}
			}
			walk(b.Body, strings.TrimPrefix(path+"."+b.Type, "."))
		}
	}
	walk(parsed.Body.(*hclsyntax.Body), "")
	if expirations != 1 {
		t.Errorf("%d expirations", expirations)
	}
	if want := `["uploads/", "results/", "direct/", "inbox/"]`; !strings.Contains(bucket, want) {
		t.Errorf("not the folders %s", want)
	}
}

// TestTerraformParses reads the files as Terraform's own parser does. Types of resources need the provider, which is not
// part of this tree: terraform validate checks them where it can be fetched.
func TestTerraformParses(t *testing.T) {
	files, err := filepath.Glob("terraform/*.tf")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	parser := hclparse.NewParser()
	var all strings.Builder
	for _, file := range files {
		if _, diagnostics := parser.ParseHCLFile(file); diagnostics.HasErrors() {
			t.Error(diagnostics)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	for _, want := range []string{
		"maxReceiveCount     = 5", `filter_prefix = "inbox/"`, "block_public_acls       = true", "storage_encrypted            = true",
		"sse_algorithm = \"aws:kms\"", "abort_incomplete_multipart_upload",
	} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no %s", want)
		}
	}
	referred := regexp.MustCompile(`var\.([a-z_]+)`)
	for _, found := range referred.FindAllStringSubmatch(all.String(), -1) {
		if !strings.Contains(all.String(), `variable "`+found[1]+`"`) {
			t.Errorf("variable %s is not declared", found[1])
		}
	}
}

// The main process ends its private PostgreSQL itself, after the drain, and a mistake that a restart does not cure is not
// restarted; everything else is, however often it ended.
func TestUnitStopsAndRestarts(t *testing.T) {
	b, err := os.ReadFile("systemd/millrace.service")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(b), "\n")
	for _, want := range []string{"KillMode=mixed", "Restart=always", "RestartPreventExitStatus=64 65 66", "StartLimitIntervalSec=0"} {
		name, _, _ := strings.Cut(want, "=")
		var got []string
		for _, line := range lines {
			if strings.HasPrefix(line, name+"=") {
				got = append(got, line)
			}
		}
		if !slices.Equal(got, []string{want}) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

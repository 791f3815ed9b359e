package storetest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Other S3 servers, for make s3-servers. They are no tools of this project: moto is installed by the user (pip), and MinIO
// too, or it is built outside of every module file.

// The last commit of MinIO's community edition.
const (
	minioPackage = "github.com/minio/minio"
	minioVersion = "v0.0.0-20260212201848-7aac2a2c5b7c"
)

func startMoto() (s3Server, error) {
	binary, err := exec.LookPath("moto_server")
	if err != nil {
		return s3Server{}, fmt.Errorf("moto: %w: install moto[server] with pip", err)
	}
	dir, err := makeDir("moto")
	if err != nil {
		return s3Server{}, err
	}
	endpoint, err := startServer(dir, "/moto-api/", func(port string) (*exec.Cmd, error) {
		return exec.Command(binary, "-H", "127.0.0.1", "-p", port), nil
	})
	return s3Server{endpoint: endpoint}, err
}

func startMinio() (s3Server, error) {
	binary, err := exec.LookPath("minio")
	if err != nil {
		binary, err = buildMinio()
	}
	if err != nil {
		return s3Server{}, err
	}
	dir, err := makeDir("minio")
	if err != nil {
		return s3Server{}, err
	}
	endpoint, err := startServer(dir, "/minio/health/live", func(port string) (*exec.Cmd, error) {
		cmd := exec.Command(binary, "server", "--quiet", "--address", "127.0.0.1:"+port, filepath.Join(dir, "data"))
		cmd.Env = append(os.Environ(), "MINIO_ROOT_USER="+accessKey, "MINIO_ROOT_PASSWORD="+secretKey,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off")
		return cmd, nil
	})
	return s3Server{endpoint: endpoint}, err
}

// buildMinio takes ten minutes and more the first time on a machine.
func buildMinio() (string, error) {
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(dir, "minio.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	binary := filepath.Join(dir, "minio-"+minioVersion)
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "install", minioPackage+"@"+minioVersion)
	cmd.Dir = dir // outside of every module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOBIN="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build MinIO: %w\n%s", err, out)
	}
	return binary, os.Rename(filepath.Join(dir, "minio"), binary)
}

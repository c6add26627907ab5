package pglocal

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// installers are the package managers looked for, in this order, each with the
// command that installs a server.
var installers = []struct{ tool, command string }{
	{"apt-get", "apt-get update && apt-get install -y postgresql"},
	{"dnf", "dnf install -y postgresql-server"},
	{"yum", "yum install -y postgresql-server"},
	{"zypper", "zypper install -y postgresql-server"},
	{"apk", "apk add postgresql"},
	{"pacman", "pacman -S --noconfirm postgresql"},
}

// InstallHint returns the command to type on this machine to install
// PostgreSQL, without any text around it; where no package manager is known,
// the address to download from.
func InstallHint() string {
	return installHint(runtime.GOOS, os.Geteuid() == 0, func(tool string) bool {
		if _, err := exec.LookPath(tool); err == nil {
			return true
		}
		for _, dir := range []string{"/usr/bin", "/bin", "/sbin", "/opt/homebrew/bin", "/usr/local/bin"} {
			if st, err := os.Stat(filepath.Join(dir, tool)); err == nil && !st.IsDir() {
				return true
			}
		}
		return false
	})
}

const downloadPage = "https://www.postgresql.org/download/"

func installHint(goos string, root bool, has func(tool string) bool) string {
	switch goos {
	case "darwin":
		// Homebrew refuses to run as root, so there is never a sudo here.
		if has("brew") {
			return "brew install postgresql@17"
		}
		return downloadPage + "macosx/"
	case "linux":
		for _, in := range installers {
			if !has(in.tool) {
				continue
			}
			if root {
				return in.command
			}
			return "sudo " + strings.ReplaceAll(in.command, "&& ", "&& sudo ")
		}
	case "freebsd":
		if root {
			return "pkg install -y postgresql17-server"
		}
		return "sudo pkg install -y postgresql17-server"
	}
	return downloadPage
}

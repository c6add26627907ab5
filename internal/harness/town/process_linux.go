package town

import "syscall"

// dieWithParent lets the kernel kill the child when its parent is gone.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }

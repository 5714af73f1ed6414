// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

// kubectl, from the library that Helm brings along: the installation page is followed with it.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
)

func main() {
	os.Exit(cli.Run(cmd.NewDefaultKubectlCommand()))
}

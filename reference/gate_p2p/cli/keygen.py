"""gate-p2p keygen."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("keygen")
@click.argument("file", type=click.Path(path_type=Path))
def command(file: Path) -> None:
    """Make a key FILE (32 random bytes, mode 0600) and print the node id that belongs to it.

    An existing file is never overwritten.

    \b
    Example:
      gate-p2p keygen relay.key
    """
    from gate_p2p.cli.keyfile import create
    from gate_p2p.iroh.generation import load

    click.echo(load().node_id_of(create(file)))

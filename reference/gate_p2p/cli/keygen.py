"""gate-p2p keygen."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("keygen")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with the file's name too.")
def command(file: Path, *, as_json: bool) -> None:
    """Make a key FILE (32 random bytes, mode 0600) and print the node id that belongs to it.

    An existing file is never overwritten.

    \b
    Examples:
      gate-p2p keygen relay.key
      gate-p2p keygen relay.key --json
    """
    import json

    from gate_p2p.cli.keyfile import create
    from gate_p2p.iroh.generation import load

    node_id = load().node_id_of(create(file))
    click.echo(json.dumps({"node_id": node_id, "key": str(file)}) if as_json else node_id)

"""`lossdsl serve`: the checks in a browser, for the person at this machine."""

from __future__ import annotations

import socket

import click

from lossdsl.errors import LossError, MissingExtra


@click.command("serve", epilog="Example: lossdsl serve --port 8765")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0 takes any free one.")
@click.option("--open", "browse", is_flag=True, help="Open the page in the default browser.")
def command(port: int, browse: bool) -> int:
    """Try formulas on a page: verdict, curves and source as you type.

    Listens on 127.0.0.1 only, so nobody else on the network can reach it. Ctrl-C stops it.
    """
    try:
        import uvicorn

        from lossdsl.web.app import make_app
    except ImportError as error:
        if error.name is None or error.name.split(".")[0] not in ("uvicorn", "starlette", "anyio"):
            raise
        raise MissingExtra("web", "`lossdsl serve`") from None
    with listen(port) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        click.echo(url)
        click.echo("Ctrl-C stops it.", err=True)
        config = uvicorn.Config(
            make_app(),
            log_level="warning",
            access_log=False,
            ws="none",
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=2,
            limit_concurrency=100,
        )
        if browse:
            import webbrowser

            webbrowser.open(url)
        uvicorn.Server(config).run(sockets=[listener])
    return 0


def listen(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1; LossError where the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise LossError(f"port {port} of 127.0.0.1 cannot be used ({error.strerror}); try --port 0") from None
    listener.listen(64)
    return listener

"""Answers for exhausted chains, a health check and a status page, in Flask.

    ext = FallbackExec(app, tracker=tracker)
    app.register_blueprint(ext.blueprint, url_prefix="/providers")
    config = ExecuteConfig(strategy="fallback", cooldown=tracker, listeners=[ext.recorder])

Needs the extra `fallback-exec[flask]`.
"""

try:
    from fallback_exec.flask.extension import FallbackExec
except ModuleNotFoundError as error:
    raise ImportError('fallback_exec.flask needs Flask: pip install "fallback-exec[flask]"') from error

__all__ = ["FallbackExec"]

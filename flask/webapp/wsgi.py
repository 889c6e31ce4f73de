"""What Gunicorn serves: ``webapp.wsgi:app``."""

from webapp import create_app

app = create_app()
